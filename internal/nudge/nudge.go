// Package nudge lets a workflow make a process look again: at a queue whose limits
// have changed, at a batch that was paused. A nudge says what it is about and
// nothing more; whoever listens asks for the rest. One that gets lost costs time
// only.
//
// It is a mechanism that knows nothing of what it is used for.
package nudge

import "sync"

// Board takes nudges to those who listen in this process. It is safe for concurrent
// use; the zero value is ready.
type Board struct {
	mu        sync.Mutex
	listeners map[string]map[chan struct{}]struct{} // by subject
}

// Listen returns a channel that has something in it after each nudge about the
// subject, or once after several. Stop listening in the end.
func (b *Board) Listen(subject string) (nudges <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.listeners == nil {
		b.listeners = map[string]map[chan struct{}]struct{}{}
	}
	if b.listeners[subject] == nil {
		b.listeners[subject] = map[chan struct{}]struct{}{}
	}
	b.listeners[subject][c] = struct{}{}
	return c, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.listeners[subject], c)
		if len(b.listeners[subject]) == 0 {
			delete(b.listeners, subject)
		}
	}
}

// Nudge tells those who listen to the subject. It does not wait for them.
func (b *Board) Nudge(subject string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.listeners[subject] {
		select {
		case c <- struct{}{}:
		default: // it has one already
		}
	}
}
