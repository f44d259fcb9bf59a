package activities

import (
	"context"

	"github.com/headrace/headrace/internal/engine"
	"github.com/headrace/headrace/internal/limit"
)

// FirstWant is how many chunks a new lane asks for when it wants so many
// requests.
func (a *Activities) FirstWant(ctx context.Context, in WorkInput, requests int) (int, error) {
	l := newLane(ctx, a, in)
	defer l.recorder.Close()
	return l.chunksFor(requests), nil
}

// Ticket is that of a call which a new lane makes.
func (a *Activities) Ticket(ctx context.Context, in WorkInput, line int64) (limit.Ticket, error) {
	l := newLane(ctx, a, in)
	defer l.recorder.Close()
	return l.ticket(engine.Job{Line: line}), nil
}
