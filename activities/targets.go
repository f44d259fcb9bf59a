package activities

import (
	"slices"
	"sync"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/engine"
	"github.com/headrace/headrace/internal/limit"
)

// places are the queues and providers that calls of a lane go to at first. The models
// of one file may lead to several.
type places struct {
	mu   sync.Mutex
	seen []place
}

type place struct{ queue, provider string }

func (p *places) see(t limit.Ticket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := (place{t.Queue, t.Provider}); !slices.Contains(p.seen, at) {
		p.seen = append(p.seen, at)
	}
}

// forget is for a lane whose calls go elsewhere from now on.
func (p *places) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = nil
}

func (p *places) all() []place {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clip(p.seen)
}

// waitingOn says what holds the lane up. That its queue is busy does so only while
// it makes no calls at all, and so does a closed provider if there is another to fall
// back to.
func (l *lane) waitingOn(stats engine.Stats) *batch.WaitingOn {
	d := l.a.Dispatcher
	gate := d.Gate()
	for _, p := range l.places.all() {
		if stats.InFlight > 0 && !d.FallsBack(l.in.Options.Fallback, p.queue).IsZero() {
			continue
		}
		if w := gate.State(p.queue, p.provider).WaitingOn(); w != nil {
			return w
		}
	}
	if stats.InFlight > 0 {
		return nil
	}
	for _, p := range l.places.all() {
		if w := gate.WaitingOn(p.queue, p.provider); w != nil {
			return w
		}
	}
	return nil
}
