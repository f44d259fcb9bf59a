package activities

import "context"

// Nudge makes whoever waits in this process for news of a workflow look again.
func (a *Activities) Nudge(_ context.Context, in NudgeInput) error {
	a.Nudges.Nudge(in.Subject)
	return nil
}
