package dispatch

import (
	"context"
	"errors"
	"time"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/openai"
)

// Provider makes calls.
type Provider interface {
	llm.Client
	llm.Streamer
}

// Call is one call to be made.
type Call struct {
	// Ticket says when it may be made. Its provider is chosen by the dispatcher,
	// unless the call goes to no provider at all: see Elsewhere. So is its queue if
	// it has none. Its model and body are those of Request.
	limit.Ticket

	Request llm.Request
	// Fallback is where the call goes if it does not get its answer; if that is
	// nowhere, the queue's holds.
	Fallback batch.Fallback
	// Elsewhere says that the call goes to no provider: Make is given none.
	Elsewhere bool

	// Ready waits until the caller may make calls at all, nil if it always may.
	Ready func(context.Context) error
	// Began and Ended are told of each call that is made; nil for nobody.
	Began, Ended func()
	// Failed is told of each call that came to an error, the one that Do returns
	// included, and when it began; nil for nobody.
	Failed func(to batch.Target, began time.Time, err *llm.Error)
	// Attempt is how many attempts of the request have failed before. It is for
	// observers.
	Attempt int
	// Make makes the call, nil for Provider.Call.
	Make func(context.Context, Provider, llm.Request) (llm.Response, error)
}

// Dispatcher makes calls. It is safe for concurrent use.
type Dispatcher struct {
	gate      *limit.Gate
	router    router
	observers []Observer
}

// New returns a dispatcher to the providers of the routes, of which there is at
// least one. The first is that of calls which no route names.
func New(gate *limit.Gate, routes ...Route) *Dispatcher {
	return &Dispatcher{gate: gate, router: router{routes: routes}}
}

// Assign has calls that name no queue go into that of the first assignment which
// means them. It is for whoever made the dispatcher, before the first call.
func (d *Dispatcher) Assign(assignments ...Assignment) { d.router.assignments = assignments }

// Gate is the one that all calls pass.
func (d *Dispatcher) Gate() *limit.Gate { return d.gate }

// Several reports whether there is more than one provider.
func (d *Dispatcher) Several() bool { return len(d.router.routes) > 1 }

// Target names the provider that a call with a ticket's model goes to at first.
func (d *Dispatcher) Target(t limit.Ticket) string { return d.router.route(t.Model).Name }

// Resolve completes the ticket of a call with the provider that it goes to at first
// and, if it has none, with its queue.
func (d *Dispatcher) Resolve(t limit.Ticket) limit.Ticket {
	return d.router.leg(&Call{Ticket: t, Request: llm.Request{Model: t.Model}}, batch.Target{}).ticket
}

// FallsBack is where calls go that say so themselves or, if that is nowhere, those of
// their queue as far as it is known here.
func (d *Dispatcher) FallsBack(own batch.Fallback, queue string) batch.Fallback {
	if !own.IsZero() {
		return own
	}
	return d.gate.Settings(queue).Fallback
}

// Do makes the call as soon as it may, once, and if it falls back, once at each
// target until one answers. A lease that ends during the call has it made again.
//
// The error is an *llm.Error, that of the call's own target, whose Uncounted says
// whether it is an attempt; or a *limit.ClosedError of a call that is not patient; or
// that of ctx, which cuts the call off, or of starting, which ends while it waits for
// its turn. A Bounded call that has its answer keeps its place until the gate's
// Release. The answer says in Via where it came from.
func (d *Dispatcher) Do(ctx, starting context.Context, c *Call) (llm.Response, error) {
	own := d.own(c)
	t := trip{d: d, ctx: ctx, starting: starting, c: c}
	if !c.Elsewhere {
		t.fallback = d.FallsBack(c.Fallback, own.ticket.Queue)
	}
	if !t.fallback.IsZero() {
		t.plan(own)
		return t.run()
	}
	response, err := d.straight(ctx, starting, c, &own)
	failed, ok := err.(*llm.Error) //nolint:errorlint // clients return it unwrapped, and this path is hot
	if !ok || c.Elsewhere {
		return response, err
	}
	// What the queue says may have come with its lease, after the call had begun to
	// wait for it.
	if t.fallback = d.FallsBack(c.Fallback, own.ticket.Queue); !t.fallback.For(failed.Kind.String()) {
		return response, err
	}
	t.plan(own)
	return t.goOn(response, failed)
}

// own is the way that a call goes at first.
func (d *Dispatcher) own(c *Call) leg {
	if c.Elsewhere {
		return leg{ticket: c.Ticket, request: c.Request, prepared: true}
	}
	own := d.router.leg(c, batch.Target{})
	own.prepare(c)
	return own
}

// straight makes a call to one target.
func (d *Dispatcher) straight(ctx, starting context.Context, c *Call, l *leg) (llm.Response, error) {
	for {
		if err := c.ready(starting); err != nil {
			return llm.Response{}, err
		}
		pass, err := d.gate.Enter(starting, l.ticket)
		if err != nil {
			return llm.Response{}, err
		}
		response, err := d.call(ctx, starting, c, l, &pass)
		if !errors.Is(err, limit.ErrLeaseEnded) {
			return response, err
		}
	}
}

// call makes a call that was let in.
func (d *Dispatcher) call(ctx, starting context.Context, c *Call, l *leg, pass *limit.Pass) (llm.Response, error) {
	callCtx, stop := pass.Context(ctx)
	defer stop()
	// It may have waited for long.
	if err := c.ready(starting); err != nil {
		d.leave(c, pass, err, openai.Usage{})
		return llm.Response{}, err
	}
	began := time.Now()
	l.began = true
	if c.Began != nil {
		c.Began()
	}
	makeCtx, w := d.watch(callCtx, c, l)
	response, err := c.make(makeCtx, l, w)
	w.end(response, err)
	if c.Ended != nil {
		c.Ended()
	}
	counts := d.leave(c, pass, err, response.Usage)
	if err != nil && ctx.Err() == nil && callCtx.Err() != nil {
		return response, limit.ErrLeaseEnded
	}
	if e, ok := err.(*llm.Error); ok { //nolint:errorlint // clients return it unwrapped, and this path is hot
		if !counts && !e.Uncounted { // others may have the error too
			own := *e
			own.Uncounted = true
			e = &own
		}
		if c.Failed != nil {
			c.Failed(l.target, began, e)
		}
		return response, e
	}
	return response, err
}

// leave gives a pass back. A Bounded call that has its answer keeps its place.
func (d *Dispatcher) leave(c *Call, pass *limit.Pass, err error, usage openai.Usage) (counts bool) {
	counts = d.gate.Leave(pass, err, usage)
	if err != nil && c.Bounded {
		d.gate.Release()
	}
	return counts
}

func (c *Call) ready(ctx context.Context) error {
	if c.Ready == nil {
		return ctx.Err()
	}
	return c.Ready(ctx)
}

func (c *Call) make(ctx context.Context, l *leg, w *watched) (llm.Response, error) {
	switch {
	case c.Elsewhere:
		return c.Make(ctx, nil, l.request)
	case c.Make == nil:
		return l.route.Provider.Call(ctx, l.request)
	default:
		return c.Make(ctx, w.provider(l.route.Provider), l.request)
	}
}
