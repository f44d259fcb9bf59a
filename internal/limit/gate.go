package limit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/queue"
)

// Ticket says what decides when a call may start.
type Ticket struct {
	Queue string // "" is queue.Default
	// Provider names whom the call goes to, "" one that this gate knows nothing of.
	Provider string
	Project  string
	// Flow is the run that the call belongs to: calls of one are in order, and
	// flows of a project are served fairly. Of two that were accepted together the
	// one whose name sorts last is first, since names sort newest first.
	Flow     string
	Priority int   // larger first; below zero are batches
	Accepted int64 // when, in unix ms
	Order    int64 // within what was accepted together
	// Model and Body are what the tokens of the call are estimated from.
	Model string
	Body  []byte
	// Bounded calls are limited to as many as the process takes at once.
	Bounded bool
	// Patience bounds how long the call waits for its provider; 0 is forever.
	Patience time.Duration
}

// Leaser asks the allocators of queues, see queue.Allocator.Ask.
type Leaser interface {
	// Lease says r to the allocator of a queue and returns its answer. It may be
	// called at once for several queues, and once at a time for each.
	Lease(ctx context.Context, name string, r queue.Request) (queue.Grant, error)
	// Nudges has something in it whenever the allocator wants to be asked. Stop
	// listening in the end.
	Nudges(name string) (nudges <-chan struct{}, stop func())
}

// Options configures a Gate.
type Options struct {
	// Leaser asks for what queues allow; without one they allow everything.
	Leaser Leaser
	// Worker names this process, as no other is or was named; Label is for people.
	Worker, Label string
	// Bound is the most Bounded calls, 0 for no bound.
	Bound int
	// Changed, if set, is told whenever a provider closes or opens. It must not block
	// or ask the gate anything.
	Changed func(Change)
}

// Gate decides when a call may start. It is safe for concurrent use. Close it in
// the end.
type Gate struct {
	o      Options
	ctx    context.Context //nolint:containedctx // the gate's life
	cancel context.CancelFunc
	leases sync.WaitGroup

	mu     sync.Mutex
	lines  map[string]*line
	room   int // for Bounded calls
	models map[string]*estimate

	draining bool // no call will begin any more
}

// New returns a gate that has leased nothing yet.
func New(o Options) *Gate {
	g := &Gate{o: o, lines: map[string]*line{}, room: cmp.Or(o.Bound, 1<<30), models: map[string]*estimate{}}
	g.ctx, g.cancel = context.WithCancel(context.Background()) //nolint:forbidigo // Close ends it
	return g
}

// Close gives back what the gate has leased. No call is to be under way.
func (g *Gate) Close() {
	g.cancel()
	g.leases.Wait()
}

// Drain says that no call will begin here any more: what queues allow goes back as
// calls end, at once and not when it is time to renew. It may be called more than
// once. Close the gate in the end.
func (g *Gate) Drain() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.draining = true
	for _, l := range g.lines {
		l.lease.load = max(l.lease.load, l.load()+1) // so that it asks in any case
		l.maybeAsk()
	}
}

// Join begins to lease what a queue allows, so that its first call need not wait.
func (g *Gate) Join(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.line(name)
}

// ClosedError is why a call that was not to wait for long is not to be made now.
type ClosedError struct{ State }

// Error implements the error interface.
func (e *ClosedError) Error() string {
	if e.Crowded {
		return "the queue takes no more calls: " + e.Message
	}
	return fmt.Sprintf("the provider takes no calls: %s: %s", e.Kind, e.Message)
}

// Pass is what a call has that was let in. Each is followed by one Leave.
type Pass struct {
	line     *line
	up       *upstream
	key      callKey
	class    queue.Class
	provider string
	bounded  bool

	model      string
	bytes      int
	reserved   int64 // tokens
	generation int64 // of the lease
	held       *held // in a limited queue
}

// ErrLeaseEnded is the cause with which a call is cut off whose queue may have
// given its permit to another process.
var ErrLeaseEnded = errors.New("the lease of the queue has ended")

// Context is that of the call: it ends with ctx, or with ErrLeaseEnded as its cause
// when the lease does under which the call was let in. Call stop in the end.
func (p *Pass) Context(ctx context.Context) (_ context.Context, stop func()) {
	if p.held == nil {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	p.held.mu.Lock()
	defer p.held.mu.Unlock()
	if p.held.cancel = cancel; p.held.lost {
		cancel(ErrLeaseEnded)
	}
	return ctx, func() { cancel(nil) }
}

// held is what can take a pass back.
type held struct {
	mu     sync.Mutex
	lost   bool
	cancel context.CancelCauseFunc
}

func (h *held) lose() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost = true; h.cancel != nil {
		h.cancel(ErrLeaseEnded)
	}
}

// Enter waits until a call may start, or returns the error of ctx, or a
// *ClosedError to a call that is not patient.
func (g *Gate) Enter(ctx context.Context, t Ticket) (Pass, error) {
	if err := ctx.Err(); err != nil {
		return Pass{}, err
	}
	t.Queue = cmp.Or(t.Queue, queue.Default)
	g.mu.Lock()
	l := g.line(t.Queue)
	if pass, ok := l.enter(&t); ok {
		g.mu.Unlock()
		return pass, nil
	}
	w, err := l.join(&t)
	g.mu.Unlock()
	if err != nil {
		return Pass{}, err
	}
	return w.wait(ctx)
}

// Leave ends a call that Enter let in. err is what the call came to: nil, an
// *llm.Error, or another error for a call that was cut off; usage is what it cost.
// It reports whether a failure is the request's own, an attempt, rather than the
// provider's. A Bounded call keeps its place in the process until Release.
func (g *Gate) Leave(p *Pass, err error, usage openai.Usage) (counts bool) {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	l, counts := p.line, true
	if _, answered := err.(*llm.Error); err != nil && !answered { //nolint:errorlint // clients return it unwrapped
		usage.TotalTokens = p.reserved // cut off: nobody knows, but it was not nothing
	} else if err == nil && p.reserved > 0 {
		g.learn(p, usage)
	}
	l.settle(p, usage)
	if p.up != nil {
		outcome := p.up.leave(now, p.key, err, l.paced())
		counts = outcome.counts
		l.notice(p.provider, p.up)
		if outcome.closed > 0 {
			e := err.(*llm.Error) //nolint:errorlint,forcetypeassert // only these close
			l.report(closing{provider: p.provider, message: e.Message, since: now, until: now.Add(outcome.closed)})
		}
	}
	if l.waiting.All() > 0 {
		l.pump()
	}
	l.maybeAsk()
	return counts
}

// Release gives the place of a Bounded call back.
func (g *Gate) Release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.room++
	for _, l := range g.lines {
		if l.waiting.All() > 0 {
			l.pump()
		}
	}
}

// State returns why calls of a queue to a provider do not pass.
func (g *Gate) State(name, provider string) State {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := g.lines[cmp.Or(name, queue.Default)]; l != nil && l.ups[provider] != nil {
		return l.ups[provider].state(time.Now())
	}
	return State{}
}

// WaitingOn says what a call waits for, nil if it need not wait: its provider, or
// what its queue allows.
func (g *Gate) WaitingOn(name, provider string) *batch.WaitingOn {
	if s := g.State(name, provider); s.Closed() {
		return s.WaitingOn()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := g.lines[cmp.Or(name, queue.Default)]; l != nil {
		return l.waitingOn()
	}
	return nil
}

// Position is the place of a waiting call in its line in this process, from 1; 0 if
// it does not wait.
func (g *Gate) Position(t Ticket) int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := g.lines[cmp.Or(t.Queue, queue.Default)]; l != nil {
		return l.position(&t)
	}
	return 0
}

// Settings are those of a queue as far as this process knows.
func (g *Gate) Settings(name string) queue.Settings {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := g.lines[cmp.Or(name, queue.Default)]; l != nil {
		return l.settings
	}
	return queue.Settings{}
}

// line returns the line of a queue. Whoever calls it holds the lock.
func (g *Gate) line(name string) *line {
	l := g.lines[name]
	if l == nil {
		l = newLine(g, name)
		g.lines[name] = l
	}
	if g.o.Leaser != nil && !l.kept {
		l.kept = true
		g.leases.Go(l.keep)
	}
	return l
}
