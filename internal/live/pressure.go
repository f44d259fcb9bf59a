package live

import (
	"context"
	"sync"
	"time"
)

// Pressure lets work that can wait for a moment make way for requests that
// cannot: while many wait to be accepted, calls that are about to start, and
// will take seconds, hold back. The zero value is ready. It is safe for
// concurrent use.
type Pressure struct {
	mu      sync.Mutex
	waiting int
	relief  chan struct{} // closed when the pressure has gone; nil while there is none
	passes  int           // how many may go on all the same
	easing  *time.Timer   // set while few wait, but have not for long
}

const (
	// crowd is how many requests that wait are a pressure.
	crowd = 16
	// easeAfter is how long fewer must wait before the pressure has gone:
	// clients that have just been answered come back.
	easeAfter = 25 * time.Millisecond
	// firstPasses is how many need not yield when a pressure begins: so few cost
	// those who wait next to nothing, and need not lose a moment themselves.
	firstPasses = 64
)

// Enter says that a request waits to be accepted, and the function that it
// returns that it does so no more.
func (p *Pressure) Enter() (leave func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting++; p.waiting < crowd {
		return p.leave
	}
	if p.relief == nil {
		p.relief, p.passes = make(chan struct{}), firstPasses
	}
	if p.easing != nil {
		p.easing.Stop()
		p.easing = nil
	}
	return p.leave
}

func (p *Pressure) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting--; p.waiting < crowd && p.relief != nil && p.easing == nil {
		p.easing = time.AfterFunc(easeAfter, p.ease)
	}
}

func (p *Pressure) ease() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting < crowd && p.relief != nil {
		close(p.relief)
		p.relief, p.easing = nil, nil
	}
}

// Yield waits until there is no pressure, until the time comes that is given, or
// until ctx ends.
func (p *Pressure) Yield(ctx context.Context, until time.Time) {
	p.mu.Lock()
	relief := p.relief
	if relief != nil && p.passes > 0 {
		p.passes--
		relief = nil
	}
	p.mu.Unlock()
	longest := time.Until(until)
	if relief == nil || longest <= 0 {
		return
	}
	timer := time.NewTimer(longest)
	defer timer.Stop()
	select {
	case <-relief:
	case <-timer.C:
	case <-ctx.Done():
	}
}
