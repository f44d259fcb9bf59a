package limit

import (
	"context"
	"sync"
	"time"

	"github.com/headrace/headrace/internal/llm"
)

// Gate decides when a call may start. The zero value is not usable; see New.
// It is safe for concurrent use.
//
// A gate is in one of three states. Open: calls pass, at most window of them at
// a time once the provider has throttled. Cooling: the provider asked to wait
// until a time; nothing passes. Held: the provider cannot be used, because it
// is unreachable, refuses the key or serves no more; one call at a time passes
// as a probe, and the first that gets through opens the gate.
type Gate struct {
	mu       sync.Mutex
	changed  chan struct{} // closed and replaced when waiting calls should look again
	inFlight int

	window    float64 // calls in flight allowed; 0 means no bound
	coolUntil time.Time
	throttles int // in a row, for providers that do not say how long to wait

	hold *hold
	why  State
}

// hold is the state of a held gate.
type hold struct {
	kind    llm.Kind
	probing bool
	probeAt time.Time
	backoff time.Duration
}

// State says why a gate is closed. The zero State is an open gate.
type State struct {
	Kind    llm.Kind
	Message string // the provider's
	Since   time.Time
	Until   time.Time // zero if nobody can tell
}

// Closed reports whether the state is that of a closed gate.
func (s State) Closed() bool { return !s.Since.IsZero() }

// New returns an open gate.
func New() *Gate { return &Gate{changed: make(chan struct{})} }

// Pauses of a gate whose provider does not say how long to wait, and of probes.
const (
	firstPause       = time.Second
	longestPause     = time.Minute
	unreachablePause = 5 * time.Second // a refused connection costs next to nothing
	smallestWindow   = 1
)

// Enter waits until a call may start, or returns the error of ctx. Each Enter
// that succeeds is followed by one Leave.
func (g *Gate) Enter(ctx context.Context) error {
	for {
		wait, changed := g.try()
		if wait == 0 {
			return nil
		}
		if err := sleep(ctx, wait, changed); err != nil {
			return err
		}
	}
}

// noTimer waits for a change alone.
const noTimer = time.Duration(-1)

// try lets a call in, or returns how long to wait before the next try.
func (g *Gate) try() (time.Duration, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	switch {
	case g.hold != nil && g.hold.probing:
		return noTimer, g.changed
	case g.hold != nil && now.Before(g.hold.probeAt):
		return g.hold.probeAt.Sub(now), g.changed
	case g.hold == nil && now.Before(g.coolUntil):
		return g.coolUntil.Sub(now), g.changed
	case g.hold == nil && g.window > 0 && float64(g.inFlight+1) > g.window:
		return noTimer, g.changed
	}
	if g.hold != nil {
		g.hold.probing = true
	} else {
		g.why = State{}
	}
	g.inFlight++
	return 0, nil
}

func sleep(ctx context.Context, wait time.Duration, changed <-chan struct{}) error {
	var tick <-chan time.Time
	if wait != noTimer {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		tick = timer.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-changed:
	case <-tick:
	}
	return nil
}

// Leave ends a call that Enter let in. err is what the call came to: nil, an
// *llm.Error, or another error for a call that was cut off.
func (g *Gate) Leave(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight--
	probe := g.hold != nil && g.hold.probing
	e, failed := err.(*llm.Error) //nolint:errorlint // clients return it unwrapped, and this path is hot
	switch {
	case err != nil && !failed: // cut off: says nothing of the provider
		if probe {
			g.hold.probing = false
		}
	case failed && e.Kind == llm.Throttled:
		g.throttled(e)
	case failed && (e.Kind == llm.Exhausted || e.Kind == llm.Refused || e.Kind == llm.Unreachable):
		g.held(e, probe)
	case failed && e.Kind == llm.Transient && e.Status == 0 && probe: // connected, but not served
		g.held(e, probe)
	default:
		g.answered()
	}
	if g.window > 0 || probe {
		g.wake()
	}
}

// answered is a call that the provider served, well or badly.
func (g *Gate) answered() {
	if g.hold != nil {
		g.hold, g.why = nil, State{}
		g.wake()
	}
	g.throttles = 0
	if g.window > 0 {
		g.window += 1 / g.window // one more a round, as TCP does
	}
}

// throttled closes the gate as long as the provider asks, and halves the
// window. Answers to calls that were under way when it closed do no more than
// prolong the wait.
func (g *Gate) throttled(e *llm.Error) {
	now := time.Now()
	pause := e.RetryAfter
	if !now.Before(g.coolUntil) {
		g.throttles++
		g.window = max(float64(g.inFlight+1)/2, smallestWindow)
		g.why = State{Since: now}
	}
	if pause == 0 {
		pause = min(firstPause<<min(max(g.throttles-1, 0), 6), longestPause)
	}
	if until := now.Add(pause); until.After(g.coolUntil) {
		g.coolUntil = until
	}
	g.hold = nil // a provider that throttles serves
	g.why.Kind, g.why.Message, g.why.Until = llm.Throttled, e.Message, g.coolUntil
	g.wake()
}

// held closes the gate to all but probes, or puts off the next one.
func (g *Gate) held(e *llm.Error, probe bool) {
	now := time.Now()
	switch {
	case g.hold == nil:
		g.hold = &hold{kind: e.Kind, backoff: firstPause}
		g.why = State{Since: now}
	case !probe:
		return // was under way when the gate closed
	default:
		g.hold.probing = false
		g.hold.backoff *= 2
	}
	longest := longestPause
	if e.Kind == llm.Unreachable {
		longest = unreachablePause
	}
	g.hold.backoff = min(g.hold.backoff, longest)
	g.hold.kind, g.hold.probeAt = e.Kind, now.Add(g.hold.backoff)
	g.why.Kind, g.why.Message = e.Kind, e.Message
	g.wake()
}

// wake makes every waiting call look again.
func (g *Gate) wake() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// State returns why the gate is closed.
func (g *Gate) State() State {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.hold == nil && !time.Now().Before(g.coolUntil) {
		return State{}
	}
	return g.why
}
