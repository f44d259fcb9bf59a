package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/llm"
)

// trip is a call on its way through its targets.
//
// In each round it goes to one target after the other. Those whose providers take no
// calls are passed over, but for the probe that finds out whether they do again. The
// trip is over when a target answers, or at the end of a round in which the first one
// was called. If the first was passed over and nobody else has answered, the call
// waits for the first for a while before the next round: there may be another target
// again by then.
type trip struct {
	d             *Dispatcher
	ctx, starting context.Context //nolint:containedctx // those of one call of Do
	c             *Call

	fallback batch.Fallback
	legs     []leg // the first is the call's own target

	// What came of the first target, if it was called.
	response llm.Response
	failed   *llm.Error
}

// Times of calls that fall back.
const (
	// lookAgain is how long a call waits for a provider that has closed, before it
	// looks for another one.
	lookAgain = 5 * time.Second
	// A call that nobody takes waits firstRest before its second round, twice as
	// long before the next, and so on up to longestRest.
	firstRest   = time.Second
	longestRest = time.Minute
)

// CodeNoProvider is the code of calls to a provider that is not configured.
const CodeNoProvider = "unknown_provider"

// plan lists the legs of a trip that begins with own.
func (t *trip) plan(own leg) {
	t.legs = append(make([]leg, 0, 1+len(t.fallback.Targets)), own)
	for _, to := range t.fallback.Targets {
		l := t.d.router.leg(t.c, to)
		if !slices.ContainsFunc(t.legs, func(known leg) bool { return known.target == l.target }) {
			t.legs = append(t.legs, l)
		}
	}
}

// run makes the trip.
func (t *trip) run() (llm.Response, error) {
	for rounds := 0; ; rounds++ {
		response, err, over := t.round(nil, 0)
		if over {
			return response, err
		}
		pass, err := t.rest(rounds)
		if err != nil {
			return llm.Response{}, err
		}
		if pass == nil {
			continue
		}
		if response, err, over = t.round(pass, 0); over {
			return response, err
		}
	}
}

// goOn makes the rest of a trip whose first target has failed.
func (t *trip) goOn(response llm.Response, failed *llm.Error) (llm.Response, error) {
	t.response, t.failed = response, failed
	response, err, _ := t.round(nil, 1)
	return response, err
}

// round goes to the targets from a number on, to the first of them with pass unless
// that is nil. over says that the trip has come to its end.
//
//nolint:revive // over belongs to the two others
func (t *trip) round(pass *limit.Pass, from int) (response llm.Response, err error, over bool) {
	for i := from; i < len(t.legs); i++ {
		l := &t.legs[i]
		response, err, called := t.visit(l, pass)
		pass = nil
		failed, ok := err.(*llm.Error) //nolint:errorlint // clients return it unwrapped
		switch {
		case err == nil && !called:
			continue
		case err == nil:
			if i > 0 {
				response.Via = l.target
			}
			return response, nil, true
		case !ok && !called && t.failed != nil:
			return t.response, t.failed, true // nobody lets it go on
		case !ok:
			return response, err, true
		}
		if i == 0 {
			t.response, t.failed = response, failed
		}
		l.spent = failed.Kind == llm.Permanent
		if !t.fallback.For(failed.Kind.String()) {
			break
		}
	}
	if t.failed == nil {
		return llm.Response{}, nil, false
	}
	return t.response, t.failed, true
}

// visit makes the call to one target, with pass or with one that it gets, unless the
// target is of no use now. called says whether a call was made.
//
//nolint:revive // called belongs to the two others
func (t *trip) visit(l *leg, pass *limit.Pass) (response llm.Response, err error, called bool) {
	l.began = false
	for {
		if pass == nil {
			if pass, err = t.enter(l); pass == nil {
				return llm.Response{}, err, false
			}
		}
		response, err = t.d.call(t.ctx, t.starting, t.c, l, pass)
		if !errors.Is(err, limit.ErrLeaseEnded) {
			return response, err, l.began
		}
		pass = nil
	}
}

// enter gets a pass to a target, nil if there is none to be had now.
func (t *trip) enter(l *leg) (*limit.Pass, error) {
	if l.spent || l.route == nil && !t.missing(l) {
		return nil, nil //nolint:nilnil // no pass is no error
	}
	if err := t.c.ready(t.starting); err != nil {
		return nil, err
	}
	l.prepare(t.c)
	state := t.d.gate.State(l.ticket.Queue, l.ticket.Provider)
	switch {
	case !state.Closed():
	case t.waitsFor(l, state):
		return t.await(l)
	default:
		if pass, ok := t.d.gate.Probe(l.ticket); ok {
			return &pass, nil
		}
		return nil, nil //nolint:nilnil // no pass is no error
	}
	ticket := l.ticket
	if ticket.Patience == 0 {
		ticket.Patience = lookAgain
	}
	pass, err := t.d.gate.Enter(t.starting, ticket)
	closed, ok := errors.AsType[*limit.ClosedError](err)
	switch {
	case err == nil:
		return &pass, nil
	case !ok, t.waitsFor(l, closed.State) && l.ticket.Patience > 0:
		return nil, err
	case t.waitsFor(l, closed.State):
		return t.await(l)
	default:
		return nil, nil //nolint:nilnil // no pass is no error
	}
}

// waitsFor reports whether the call waits for a target that is closed. A queue whose
// line is long is no reason to go elsewhere.
func (t *trip) waitsFor(l *leg, state limit.State) bool {
	return l == &t.legs[0] && (state.Crowded || !t.fallback.For(state.Kind.String()))
}

// await waits for a target as a call does that has no other one.
func (t *trip) await(l *leg) (*limit.Pass, error) {
	pass, err := t.d.gate.Enter(t.starting, l.ticket)
	if err != nil {
		return nil, err
	}
	return &pass, nil
}

// missing books a target whose provider does not exist as one that has failed.
func (t *trip) missing(l *leg) bool {
	l.spent = true
	if t.c.Failed != nil {
		t.c.Failed(l.target, time.Now(), &llm.Error{
			Kind: llm.Permanent, Code: CodeNoProvider,
			Message: fmt.Sprintf("No provider is named %q in the configuration of this worker.", l.target.Provider),
		})
	}
	return false
}

// rest waits for the first target. It returns a pass to it, nil when it is time to
// look at the others again, or a *limit.ClosedError that says when.
func (t *trip) rest(rounds int) (*limit.Pass, error) {
	pause := min(firstRest<<min(rounds, 6), longestRest)
	ticket, began := t.legs[0].ticket, time.Now()
	patient := ticket.Patience == 0
	if patient {
		ticket.Patience = pause
	}
	if err := t.c.ready(t.starting); err != nil {
		return nil, err
	}
	pass, err := t.d.gate.Enter(t.starting, ticket)
	closed, ok := errors.AsType[*limit.ClosedError](err)
	switch {
	case err == nil:
		return &pass, nil
	case !ok:
		return nil, err
	case !patient:
		return nil, &limit.ClosedError{State: t.soonest(closed.State)}
	}
	if at := t.soonest(closed.State).Until; !at.IsZero() {
		pause = min(pause, max(time.Until(at), 0))
	}
	return nil, sleep(t.starting, pause-time.Since(began))
}

// soonest is the state of the first target, until there may be use in another look at
// all of them.
func (t *trip) soonest(s limit.State) limit.State {
	now := time.Now()
	for i := range t.legs {
		l := &t.legs[i]
		if l.spent {
			continue
		}
		other := t.d.gate.State(l.ticket.Queue, l.ticket.Provider)
		until := other.Until
		if !other.Closed() { // it takes calls, and this one has failed there
			until = now.Add(lookAgain)
		}
		if !until.IsZero() && (s.Until.IsZero() || until.Before(s.Until)) {
			s.Until = until
		}
	}
	return s
}

// sleep waits, until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
