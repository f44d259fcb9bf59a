package limit

import (
	"time"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/llm"
)

// upstream is what a process knows of one provider, as calls of one queue find it.
// Whoever uses it holds the gate's lock.
//
// It is in one of three states. Open: calls pass, at most window of them at a time
// once the provider has throttled. Cooling: the provider asked to wait until a
// time; nothing passes. Held: the provider cannot be used, because it is
// unreachable, keeps failing, refuses the key or serves no more; one call at a time
// passes as a probe, and the first that gets through opens it.
type upstream struct {
	inFlight int

	window    float64 // calls in flight allowed; 0 means no bound
	threshold float64 // up to which the window doubles each round
	grown     time.Time
	coolUntil time.Time
	throttles int // in a row, for providers that do not say how long to wait

	hold   *hold
	streak streak
	why    State
	told   State // the one that Options.Changed was told of last
}

// hold is the state of a held upstream.
type hold struct {
	kind    llm.Kind
	probing bool
	probeAt time.Time
	backoff time.Duration
	probed  map[callKey]int // how often a request was the probe
}

// State says why a provider takes no calls. The zero State is an open one.
type State struct {
	// Crowded says that it is not the provider which takes no calls but the line of
	// the queue: then Kind means nothing.
	Crowded bool
	Kind    llm.Kind
	Message string // the provider's, unless Crowded
	Since   time.Time
	Until   time.Time // zero if nobody can tell
}

// Closed reports whether the state is that of a closed gate.
func (s State) Closed() bool { return !s.Since.IsZero() }

// WaitingOn says in the words of clients what is waited for, nil for an open gate.
func (s State) WaitingOn() *batch.WaitingOn {
	if !s.Closed() {
		return nil
	}
	w := &batch.WaitingOn{Message: s.Message, Since: s.Since.Unix()}
	if !s.Until.IsZero() {
		until := s.Until.Unix()
		w.Until = &until
	}
	if s.Crowded {
		w.Reason = batch.QueueCrowded
		return w
	}
	switch s.Kind {
	case llm.Throttled:
		w.Reason = batch.RateLimited
	case llm.Exhausted:
		w.Reason = batch.Exhausted
	case llm.Refused:
		w.Reason = batch.Refused
	case llm.Transient:
		w.Reason = batch.ProviderFailing
	case llm.Unreachable, llm.Permanent:
		w.Reason = batch.Unreachable
	}
	return w
}

// Pauses of an upstream whose provider does not say how long to wait, and of
// probes.
const (
	firstPause       = time.Second
	longestPause     = time.Minute
	unreachablePause = 5 * time.Second // a refused connection costs next to nothing
	shortestProbe    = 500 * time.Millisecond
	// probeShare is the part of the time that a provider has been away which may
	// pass before the next probe: so it is missed by a thirtieth of its absence.
	probeShare = 30
)

// Windows after the provider has throttled.
const (
	smallestWindow = 1
	windowRegained = 30 * time.Second // to be as wide again, however slow the calls
	windowForgot   = 8                // times the threshold, and widest more
	widest         = 64
)

// never waits for something else than time.
const never = time.Duration(-1)

// wait is how long until a call may pass, 0 for now, or never.
func (u *upstream) wait(now time.Time) time.Duration {
	switch {
	case u.hold != nil && u.hold.probing:
		return never
	case u.hold != nil:
		return max(u.hold.probeAt.Sub(now), 0)
	case now.Before(u.coolUntil):
		return u.coolUntil.Sub(now)
	case u.window > 0 && float64(u.inFlight+1) > u.window:
		return never
	}
	return 0
}

// enter lets a call pass that need not wait.
func (u *upstream) enter(call callKey) {
	if u.hold != nil {
		u.hold.probing = true
		u.hold.probed[call]++
	} else if u.why.Closed() {
		u.why = State{}
	}
	u.inFlight++
}

// left is what the end of a call means.
type left struct {
	// counts says that a failure is the call's own: an attempt.
	counts bool
	// closed is set by the first call that the provider throttles: for how long.
	closed time.Duration
}

// leave ends a call that has passed. err is what it came to: nil, an *llm.Error, or
// another error for a call that was cut off. paced says that rates hold the calls
// back, rather than a window.
func (u *upstream) leave(now time.Time, call callKey, err error, paced bool) left {
	u.inFlight--
	probe := u.hold != nil && u.hold.probing
	e, failed := err.(*llm.Error) //nolint:errorlint // clients return it unwrapped, and this path is hot
	switch {
	case err == nil:
		u.answered(now)
	case !failed: // cut off: says nothing of the provider
		if probe {
			u.hold.probing = false
		}
	case e.Kind == llm.Throttled:
		return left{closed: u.throttled(now, e.RetryAfter, e.Message, paced)}
	case e.Kind == llm.Exhausted, e.Kind == llm.Refused, e.Kind == llm.Unreachable:
		u.held(now, e, probe)
	case e.Kind == llm.Transient:
		return left{counts: !u.failed(now, call, e, probe)}
	default:
		u.answered(now)
	}
	return left{counts: true}
}

// answered is a call that the provider served.
func (u *upstream) answered(now time.Time) {
	if u.hold != nil {
		u.hold, u.why = nil, State{}
	}
	u.throttles, u.streak = 0, streak{}
	if u.window == 0 || now.Before(u.coolUntil) {
		return
	}
	if u.window < u.threshold {
		u.window++ // twice as wide each round
	} else { // one more a round, as TCP does, or by time where rounds are long
		u.window += max(1/u.window, u.threshold*now.Sub(u.grown).Seconds()/windowRegained.Seconds())
	}
	u.grown = now
	if u.window > windowForgot*u.threshold+widest {
		u.window = 0
	}
}

// throttled closes the upstream as long as the provider asks. It returns for how
// long, unless it was closed: answers to calls that were under way by then do no
// more than prolong the wait.
func (u *upstream) throttled(now time.Time, pause time.Duration, message string, paced bool) time.Duration {
	first := !now.Before(u.coolUntil)
	if first {
		u.throttles++
		u.why = State{Since: now}
		u.narrow(now, u.inFlight+1, paced)
	}
	if pause == 0 {
		pause = min(firstPause<<min(max(u.throttles-1, 0), 6), longestPause)
	}
	longer := now.Add(pause).Sub(u.coolUntil)
	if longer > 0 {
		u.coolUntil = now.Add(pause)
	}
	u.hold, u.streak = nil, streak{} // a provider that throttles serves
	u.why.Kind, u.why.Message, u.why.Until = llm.Throttled, message, u.coolUntil
	if first || longer > time.Second { // the others need not hear of a little
		return pause
	}
	return 0
}

// narrow makes the window a quarter of what was in flight; half of that is soon
// reached again.
func (u *upstream) narrow(now time.Time, inFlight int, paced bool) {
	if paced {
		u.window = 0
		return
	}
	u.threshold = max(float64(inFlight)/2, smallestWindow)
	u.window, u.grown = max(u.threshold/2, smallestWindow), now
}

// closedElsewhere closes the upstream because another process was asked to wait.
func (u *upstream) closedElsewhere(now time.Time, age, rest time.Duration, message string, paced bool) {
	if now.Add(rest).Sub(u.coolUntil) < time.Second && now.Before(u.coolUntil) {
		return // known
	}
	if !now.Before(u.coolUntil) {
		u.narrow(now, u.inFlight, paced)
	}
	u.coolUntil = now.Add(rest)
	u.why = State{Kind: llm.Throttled, Message: message, Since: now.Add(-age), Until: u.coolUntil}
}

// held closes the upstream to all but probes, or puts off the next one.
func (u *upstream) held(now time.Time, e *llm.Error, probe bool) {
	switch {
	case u.hold == nil:
		u.hold = &hold{backoff: firstPause, probed: map[callKey]int{}}
		u.why = State{Since: now}
	case !probe:
		return // was under way when it closed
	default:
		u.hold.probing = false
		u.hold.backoff = min(2*u.hold.backoff, longestPause)
	}
	pause := u.hold.backoff
	switch e.Kind {
	case llm.Unreachable:
		pause = min(u.sinceAway(now), unreachablePause)
	case llm.Transient:
		pause = u.sinceAway(now)
	case llm.Throttled, llm.Exhausted, llm.Refused, llm.Permanent:
	}
	u.hold.kind, u.hold.probeAt = e.Kind, now.Add(pause)
	u.why.Kind, u.why.Message = e.Kind, e.Message
}

// sinceAway is the pause before the next probe of a provider that is away.
func (u *upstream) sinceAway(now time.Time) time.Duration {
	return min(max(now.Sub(u.why.Since)/probeShare, shortestProbe), longestPause)
}

// state returns why the upstream is closed.
func (u *upstream) state(now time.Time) State {
	if u.hold == nil && !now.Before(u.coolUntil) {
		return State{}
	}
	return u.why
}
