// Package live is what the API and the runner of one process tell each other:
// what becomes of tasks, and how many requests wait to be accepted. It is a short
// cut and nothing else: what it says of tasks is in the store or in Temporal as
// well, for those who wait elsewhere.
//
// It imports internal/task only.
package live

import (
	"sync"

	"github.com/headrace/headrace/internal/task"
)

// Hub hands the latest state of tasks to those who watch them. The zero value is
// not usable; see NewHub. It is safe for concurrent use.
type Hub struct {
	// Pressure is that of requests which wait to be accepted.
	Pressure Pressure

	mu       sync.Mutex
	watchers map[string]map[*Watcher]struct{} // by id
}

// NewHub returns a hub that nobody watches.
func NewHub() *Hub { return &Hub{watchers: map[string]map[*Watcher]struct{}{}} }

// Watcher waits for news of one task.
type Watcher struct {
	hub *Hub
	id  string
	// News has a value when Latest has changed.
	News chan struct{}

	mu     sync.Mutex
	latest *task.Object
}

// Watch begins to watch a task, whether or not it is known here. Close the
// watcher in the end.
func (h *Hub) Watch(id string) *Watcher {
	w := &Watcher{hub: h, id: id, News: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers[id] == nil {
		h.watchers[id] = map[*Watcher]struct{}{}
	}
	h.watchers[id][w] = struct{}{}
	return w
}

// Close ends the watch. It may be called more than once.
func (w *Watcher) Close() {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	delete(w.hub.watchers[w.id], w)
	if len(w.hub.watchers[w.id]) == 0 {
		delete(w.hub.watchers, w.id)
	}
}

// Latest returns what the hub was told last since the watch began, nil if
// nothing. The object is shared: change nothing in it.
func (w *Watcher) Latest() *task.Object {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.latest
}

// Watched reports whether anybody watches a task.
func (h *Hub) Watched(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.watchers[id]) > 0
}

// Tell hands the state of a task to those who watch it. States that nobody has
// looked at in time are skipped, but never a later one for an earlier.
func (h *Hub) Tell(o *task.Object) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers[o.ID] {
		w.mu.Lock()
		w.latest = o
		w.mu.Unlock()
		select {
		case w.News <- struct{}{}:
		default:
		}
	}
}
