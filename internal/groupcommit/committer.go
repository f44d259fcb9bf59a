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
	// MaxLinger is the longest that a group waits for others to join, see
	// Committer.
	MaxLinger time.Duration
}

// Committer commits items in groups. While a commit is under way, those who come
// wait for it to end and then go together.
//
// Clients that wait for their answers before they ask again come back a moment
// after a commit has ended. A group that began at once would hold only those who
// came during the last commit, half of them, or the first one who comes back. So
// a group lingers until as many are there as were before, for no longer than
// the last commit took, and as long as they keep coming, each within half of
// that.
type Committer[T any] struct {
	o Options[T]

	mu       sync.Mutex
	pending  []*item[T]
	busy     bool          // a goroutine commits
	expected int           // items that were around when the last commit ended
	took     time.Duration // the last commit
	ended    time.Time     // when it did
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
	for {
		c.linger()
		group, ok := c.next()
		if !ok {
			return
		}
		values := make([]T, len(group))
		for n, i := range group {
			values[n] = i.value
		}
		begun := time.Now()
		err := c.o.Commit(values)
		c.mu.Lock()
		c.ended = time.Now()
		c.took, c.expected = c.ended.Sub(begun), len(group)+len(c.pending)
		c.mu.Unlock()
		for _, i := range group {
			i.done <- err
		}
	}
}

// next takes the next group. It returns false when nobody has come.
func (c *Committer[T]) next() ([]*item[T], bool) {
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

// linger waits for others to come.
func (c *Committer[T]) linger() {
	c.mu.Lock()
	longest := min(c.took, c.o.MaxLinger)
	if time.Since(c.ended) > longest { // those who were there then have gone
		longest = 0
	}
	c.mu.Unlock()
	end := time.NewTimer(longest)
	defer end.Stop()
	gap := time.NewTimer(longest / 2)
	defer gap.Stop()
	for longest > 0 && !c.enough() {
		select {
		case <-c.arrived:
			gap.Reset(longest / 2)
		case <-gap.C:
			return
		case <-end.C:
			return
		}
	}
}

// enough reports whether as many wait as were around when the last commit
// ended.
func (c *Committer[T]) enough() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pending) >= min(max(c.expected, 1), c.o.MaxItems)
}
