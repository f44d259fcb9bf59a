package activities

import "context"

// FirstWant is how many chunks a new lane asks for when it wants so many
// requests.
func (a *Activities) FirstWant(ctx context.Context, in WorkInput, requests int) (int, error) {
	l := newLane(ctx, a, in)
	defer l.recorder.Close()
	return l.chunksFor(requests), nil
}
