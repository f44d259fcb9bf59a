package activities

import (
	"context"
	"strings"

	"github.com/headrace/headrace/internal/dispatch"
	"github.com/headrace/headrace/internal/engine"
	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/openai"
)

// laneCaller makes a lane's calls when its queue and provider allow, and while the
// lane is sure to be its own.
type laneCaller struct{ lane *lane }

// Call implements engine.Caller.
func (c laneCaller) Call(ctx, starting context.Context, j engine.Job, flying func(int)) (llm.Response, error) {
	ticket := c.lane.ticket(j)
	c.lane.places.see(c.lane.a.Dispatcher.Resolve(ticket))
	return c.lane.a.Dispatcher.Do(ctx, starting, &dispatch.Call{
		Ticket: ticket, Request: j.Request, Fallback: c.lane.in.Options.Fallback, Attempt: j.Attempt,
		Ready: c.lane.pulse.await,
		Began: func() { flying(1) },
		Ended: func() { flying(-1) },
	})
}

// ticket says when a call of the lane may be made. A batch is accepted as a whole:
// its calls are in the order of its lines.
func (l *lane) ticket(j engine.Job) limit.Ticket {
	s := l.settings.Load()
	return limit.Ticket{
		Queue: s.Queue, Project: l.in.Run.Project, Flow: l.in.Run.Batch, Priority: s.Priority,
		Accepted: l.accepted, Order: j.Line, Model: j.Request.Model,
	}
}

// acceptedAt is when a batch was accepted, in unix ms, as its id tells: more exactly
// than the batch object, whose seconds many may share. It is 0, before all others,
// for an id that tells nothing.
func acceptedAt(id string) int64 {
	at, ok := openai.TimeOf(strings.TrimPrefix(id, openai.PrefixBatch))
	if !ok {
		return 0
	}
	return at.UnixMilli()
}

// refuser stands in for a provider when requests are not to be made.
type refuser struct {
	pulse  *pulse
	unmade *Unmade
}

// Call implements engine.Caller.
func (r refuser) Call(_, starting context.Context, _ engine.Job, _ func(int)) (llm.Response, error) {
	if err := r.pulse.await(starting); err != nil {
		return llm.Response{}, err
	}
	return llm.Response{}, &llm.Error{Kind: llm.Permanent, Code: r.unmade.Code, Message: r.unmade.Message}
}
