// Package groupcommit makes one commit of what several callers want committed at
// the same time, as databases do: an idle service adds no delay and commits each
// by itself, a busy one shares the cost.
//
// It imports the standard library only.
package groupcommit

import (
	"context"
	"sync"
	"time"
)

// Options configures a Committer. All fields are needed.
type Options[T any] struct {
	// Commit commits a group. Its error is that of every item in it. It runs in
	// a goroutine of its own, at most one at a time.
	Commit func(group []T) error
	// MaxItems and MaxSize bound a group; the sizes of its items add up. An item
	// that is larger than MaxSize is a group of its own.
	MaxItems, MaxSize int
	// MaxLinger is the longest that a group waits for others to join once a commit
	// has ended, Gap the least that it waits for the next one, see Committer.
	MaxLinger, Gap time.Duration
}

// Committer commits items in groups. While a commit is under way, those who come
// wait for it to end and then go together.
//
// Clients that wait for their answers before they ask again come back a moment
// after a commit has ended. A group that began at once would hold only those who
// came during the last commit, half of them; so it lingers until as many are
// there as were before, as long as they keep coming, each within a quarter of
// the time that the last commit took, and for no longer than that in all.
type Committer[T any] struct {
	o Options[T]

	mu       sync.Mutex
	pending  []*item[T]
	busy     bool // a goroutine commits
	expected int  // items that were around when the last commit ended
	arrived  chan struct{}
}

// item is one caller's.
type item[T any] struct {
	value T
	size  int
	done  chan error
}

// New returns a committer.
func New[T any](o Options[T]) *Committer[T] {
	return &Committer[T]{o: o, arrived: make(chan struct{}, 1)}
}

// Do commits an item and returns the error of its group. When ctx ends first it
// returns the error of ctx, and whether the item is committed is open.
func (c *Committer[T]) Do(ctx context.Context, value T, size int) error {
	i := &item[T]{value: value, size: size, done: make(chan error, 1)}
	c.mu.Lock()
	c.pending = append(c.pending, i)
	if !c.busy {
		c.busy = true
		go c.run()
	} else {
		select {
		case c.arrived <- struct{}{}:
		default:
		}
	}
	c.mu.Unlock()
	select {
	case err := <-i.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run commits groups until nobody has come for as long as it lingers.
func (c *Committer[T]) run() {
	var took time.Duration
	for {
		group, ok := c.next(min(took, c.o.MaxLinger), max(took/4, c.o.Gap))
		if !ok {
			return
		}
		values := make([]T, len(group))
		for n, i := range group {
			values[n] = i.value
		}
		begun := time.Now()
		err := c.o.Commit(values)
		took = time.Since(begun)
		c.mu.Lock()
		c.expected = len(group) + len(c.pending)
		c.mu.Unlock()
		for _, i := range group {
			i.done <- err
		}
	}
}

// next waits for the next group. It returns false when nobody has come.
func (c *Committer[T]) next(linger, gap time.Duration) ([]*item[T], bool) {
	if linger > 0 {
		c.linger(linger, gap)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n, size := 0, 0
	for n < len(c.pending) && n < c.o.MaxItems && (n == 0 || size+c.pending[n].size <= c.o.MaxSize) {
		size += c.pending[n].size
		n++
	}
	if n == 0 {
		c.busy = false
		return nil, false
	}
	group := c.pending[:n:n]
	c.pending = c.pending[n:]
	return group, true
}

// linger waits for others to come, so long in all and so long for the next one.
func (c *Committer[T]) linger(longest, next time.Duration) {
	end := time.NewTimer(longest)
	defer end.Stop()
	gap := time.NewTimer(next)
	defer gap.Stop()
	for {
		c.mu.Lock()
		enough := len(c.pending) >= min(max(c.expected, 1), c.o.MaxItems)
		c.mu.Unlock()
		if enough {
			return
		}
		select {
		case <-c.arrived:
			gap.Reset(next)
		case <-gap.C:
			return
		case <-end.C:
			return
		}
	}
}
