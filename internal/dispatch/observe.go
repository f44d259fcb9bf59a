package dispatch

import (
	"cmp"
	"context"

	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/queue"
	"github.com/headrace/headrace/internal/sse"
)

// Observer is told of calls. It is called for every one of them, by many
// goroutines at once, and must not wait.
type Observer interface {
	// Begin is told of a call that is about to be made, and returns the context
	// under which it is made and who is told how it goes.
	Begin(ctx context.Context, c *Observed) (context.Context, Watch)
}

// Watch is told how one call goes, from its own goroutine.
type Watch interface {
	// First is told that the first frame of a stream has come.
	First()
	// End is told how the call has ended: err is nil, an *llm.Error, or another one
	// of a call that was cut off.
	End(r llm.Response, err error)
}

// Observed is what observers may know of a call. It is theirs until the call ends.
// Nothing in it says what was asked.
type Observed struct {
	// Provider is "" for a call that goes to none. Model is the name by which the
	// provider knows the model.
	Provider, Model string
	Endpoint        openai.Endpoint
	Queue, Project  string
	// Flow names the run of a batch that the call belongs to, "" for a task.
	Flow string
	// Attempt is how many attempts of the request have failed before.
	Attempt int
}

// Observe has observers told of calls, in order. It is for whoever made the
// dispatcher, before the first call.
func (d *Dispatcher) Observe(observers ...Observer) { d.observers = append(d.observers, observers...) }

// watched is a call of which observers are told, the zero value one of which nobody
// is.
type watched struct {
	observed Observed
	watches  []Watch
	room     [2]Watch // for watches
}

// watch begins to tell observers of a call. It returns nil if there are none.
func (d *Dispatcher) watch(ctx context.Context, c *Call, l *leg) (context.Context, *watched) {
	if len(d.observers) == 0 {
		return ctx, nil
	}
	w := &watched{observed: Observed{
		Provider: l.ticket.Provider, Model: l.request.Model, Endpoint: l.request.Endpoint, Queue: cmp.Or(l.ticket.Queue, queue.Default),
		Project: l.ticket.Project, Flow: l.ticket.Flow, Attempt: c.Attempt,
	}}
	w.watches = w.room[:0]
	for _, o := range d.observers {
		var one Watch
		ctx, one = o.Begin(ctx, &w.observed)
		w.watches = append(w.watches, one)
	}
	return ctx, w
}

func (w *watched) end(r llm.Response, err error) {
	if w == nil {
		return
	}
	for _, one := range w.watches {
		one.End(r, err)
	}
}

// provider is p, whose streams are watched.
func (w *watched) provider(p Provider) Provider {
	if w == nil {
		return p
	}
	return watchedProvider{p, w}
}

// watchedProvider tells observers of the first frame of a stream.
type watchedProvider struct {
	Provider

	watched *watched
}

// Stream implements llm.Streamer.
func (p watchedProvider) Stream(ctx context.Context, r llm.Request, emit func(sse.Frame) error) (llm.Response, error) {
	begun := false
	return p.Provider.Stream(ctx, r, func(f sse.Frame) error {
		if !begun {
			begun = true
			for _, one := range p.watched.watches {
				one.First()
			}
		}
		return emit(f)
	})
}
