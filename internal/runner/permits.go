package runner

import (
	"container/heap"
	"context"
	"sync"
)

// permits bounds the calls in flight. Those who wait get theirs by priority,
// the larger first, and among equals in the order in which they came.
type permits struct {
	mu      sync.Mutex
	free    int
	seq     int64
	waiting waiters
}

type waiter struct {
	priority int
	seq      int64
	index    int           // in the heap, -1 once it has left
	ready    chan struct{} // closed when the permit is granted
}

// acquire waits for a permit, or returns the error of ctx.
func (p *permits) acquire(ctx context.Context, priority int) error {
	p.mu.Lock()
	if p.free > 0 && len(p.waiting) == 0 {
		p.free--
		p.mu.Unlock()
		return nil
	}
	w := &waiter{priority: priority, seq: p.seq, ready: make(chan struct{})}
	p.seq++
	heap.Push(&p.waiting, w)
	p.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.index < 0 { // granted in the meantime
		p.pass()
	} else {
		heap.Remove(&p.waiting, w.index)
	}
	return ctx.Err()
}

// release gives a permit back.
func (p *permits) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pass()
}

// pass hands a permit to whoever is first.
func (p *permits) pass() {
	if len(p.waiting) == 0 {
		p.free++
		return
	}
	close(heap.Pop(&p.waiting).(*waiter).ready)
}

// waiters implements heap.Interface.
type waiters []*waiter

func (w waiters) Len() int { return len(w) }

func (w waiters) Less(i, j int) bool {
	if w[i].priority != w[j].priority {
		return w[i].priority > w[j].priority
	}
	return w[i].seq < w[j].seq
}

func (w waiters) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].index, w[j].index = i, j
}

// Push implements heap.Interface.
func (w *waiters) Push(x any) {
	one := x.(*waiter)
	one.index = len(*w)
	*w = append(*w, one)
}

// Pop implements heap.Interface.
func (w *waiters) Pop() any {
	old := *w
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*w = old[:len(old)-1]
	last.index = -1
	return last
}
