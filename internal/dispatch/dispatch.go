package dispatch

import (
	"context"
	"errors"

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
	// unless the call goes to no provider at all: see Elsewhere. Its model and body
	// are those of Request.
	limit.Ticket

	Request  llm.Request
	Fallback batch.Fallback
	// Elsewhere says that the call goes to no provider: Make is given none.
	Elsewhere bool

	// Ready waits until the caller may make calls at all, nil if it always may.
	Ready func(context.Context) error
	// Began and Ended are told of each call that is made; nil for nobody.
	Began, Ended func()
	// Make makes the call, nil for Provider.Call.
	Make func(context.Context, Provider, llm.Request) (llm.Response, error)
}

// Dispatcher makes calls. It is safe for concurrent use.
type Dispatcher struct {
	gate     *limit.Gate
	provider Provider
	name     string
}

// New returns a dispatcher to one provider.
func New(gate *limit.Gate, name string, p Provider) *Dispatcher {
	return &Dispatcher{gate: gate, provider: p, name: name}
}

// Gate is the one that all calls pass.
func (d *Dispatcher) Gate() *limit.Gate { return d.gate }

// Target names the provider that a call would go to at first.
func (d *Dispatcher) Target(limit.Ticket) string { return d.name }

// Do makes the call as soon as it may, once. A lease that ends during the call
// has it made again.
//
// The error is an *llm.Error, whose Uncounted says whether it is an attempt; or a
// *limit.ClosedError of a call that is not patient; or that of ctx, which cuts the
// call off, or of starting, which ends while it waits for its turn. A Bounded call
// that has its answer keeps its place until the gate's Release.
func (d *Dispatcher) Do(ctx, starting context.Context, c *Call) (llm.Response, error) {
	for {
		response, err := d.once(ctx, starting, c)
		if !errors.Is(err, limit.ErrLeaseEnded) {
			return response, err
		}
	}
}

func (d *Dispatcher) once(ctx, starting context.Context, c *Call) (llm.Response, error) {
	if err := c.ready(starting); err != nil {
		return llm.Response{}, err
	}
	if !c.Elsewhere {
		c.Provider, c.Model, c.Body = d.name, c.Request.Model, c.Request.Body
	}
	pass, err := d.gate.Enter(starting, c.Ticket)
	if err != nil {
		return llm.Response{}, err
	}
	response, err := d.call(ctx, starting, c, &pass)
	if err != nil && c.Bounded {
		d.gate.Release()
	}
	return response, err
}

// call makes a call that was let in.
func (d *Dispatcher) call(ctx, starting context.Context, c *Call, pass *limit.Pass) (llm.Response, error) {
	callCtx, stop := pass.Context(ctx)
	defer stop()
	// It may have waited for long.
	if err := c.ready(starting); err != nil {
		d.gate.Leave(pass, err, openai.Usage{})
		return llm.Response{}, err
	}
	if c.Began != nil {
		c.Began()
	}
	response, err := c.make(callCtx, d.provider)
	if c.Ended != nil {
		c.Ended()
	}
	if counts := d.gate.Leave(pass, err, response.Usage); !counts {
		if e, ok := err.(*llm.Error); ok { //nolint:errorlint // clients return it unwrapped, and this path is hot
			e.Uncounted = true
		}
	}
	if err != nil && ctx.Err() == nil && callCtx.Err() != nil {
		return response, limit.ErrLeaseEnded
	}
	return response, err
}

func (c *Call) ready(ctx context.Context) error {
	if c.Ready == nil {
		return ctx.Err()
	}
	return c.Ready(ctx)
}

func (c *Call) make(ctx context.Context, p Provider) (llm.Response, error) {
	switch {
	case c.Make == nil:
		return p.Call(ctx, c.Request)
	case c.Elsewhere:
		return c.Make(ctx, nil, c.Request)
	default:
		return c.Make(ctx, p, c.Request)
	}
}
