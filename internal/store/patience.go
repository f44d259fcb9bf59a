package store

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Patience tries writes until they succeed: a full disk or a store that is away
// for a while costs time and nothing else. It remembers whether any of them
// fails at the moment; one that works is no sign that the others do, since a
// full disk takes a small object and refuses a large one. The zero value is
// ready. It is safe for concurrent use.
type Patience struct {
	mu      sync.Mutex
	failing int // writes whose last try failed
	err     error
	since   time.Time
	healthy chan struct{} // closed when no write fails any more; nil while none does
}

// Pauses between tries of a write.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
)

// Persist tries until it succeeds. It gives up only when ctx ends, with its
// error, or with ErrExists, which no further try would mend.
func (p *Patience) Persist(ctx context.Context, try func() error) error {
	failing := false
	defer func() {
		if failing {
			p.recovered()
		}
	}()
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := try()
		if err == nil || errors.Is(err, ErrExists) {
			return err
		}
		if !errors.Is(err, context.Canceled) {
			p.failed(err, !failing)
			failing = true
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// Trouble returns why writes fail at the moment and since when, or nil.
func (p *Patience) Trouble() (time.Time, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.since, p.err
}

// Await waits while any write fails, or until ctx ends. Whoever makes calls
// whose results cannot be kept would pay for them twice.
func (p *Patience) Await(ctx context.Context) error {
	for {
		p.mu.Lock()
		healthy := p.healthy
		p.mu.Unlock()
		if healthy == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-healthy:
		}
	}
}

func (p *Patience) failed(err error, first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if first {
		if p.failing == 0 {
			p.since, p.healthy = time.Now(), make(chan struct{})
		}
		p.failing++
	}
	p.err = err
}

func (p *Patience) recovered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failing--; p.failing == 0 {
		p.err = nil
		close(p.healthy)
		p.healthy = nil
	}
}
