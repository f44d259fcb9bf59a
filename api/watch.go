package api

import (
	"context"
	"sync"
	"time"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/workflows"
)

const (
	// lookEvery is the time between two looks at a batch that somebody watches.
	lookEvery = 250 * time.Millisecond
	// lookTimeout bounds one look.
	lookTimeout = 10 * time.Second
)

// watches are the batches that somebody watches. However many do, each batch is
// looked at once at a time.
type watches struct {
	view func(context.Context, workflows.Run) (batch.Object, error)

	mu  sync.Mutex
	all map[workflows.Run]*watch
}

// watch is one batch that is looked at.
type watch struct {
	stop     context.CancelFunc
	watchers int // guarded by watches.mu

	mu      sync.Mutex
	object  batch.Object
	changed chan struct{} // closed when object has been replaced
}

// join begins to watch a batch that was just seen as o. Call leave when done.
func (w *watches) join(ctx context.Context, run workflows.Run, o batch.Object) (seen *watch, leave func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen = w.all[run]
	if seen == nil {
		// Who came first may leave first.
		ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
		seen = &watch{stop: stop, object: o, changed: make(chan struct{})}
		w.all[run] = seen
		go w.look(ctx, run, seen)
	}
	seen.replace(o)
	seen.watchers++
	return seen, func() { w.leave(run, seen) }
}

func (w *watches) leave(run workflows.Run, seen *watch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if seen.watchers--; seen.watchers == 0 {
		seen.stop()
		delete(w.all, run)
	}
}

// look looks at a batch until it has ended or nobody watches any more. What
// cannot be seen now may be seen later, so errors are passed over.
func (w *watches) look(ctx context.Context, run workflows.Run, seen *watch) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		once, cancel := context.WithTimeout(ctx, lookTimeout)
		o, err := w.view(once, run)
		cancel()
		if err != nil {
			continue
		}
		seen.replace(o)
		if o.Status.Final() {
			return
		}
	}
}

// replace notes the batch as it is now. What was on its way while more became
// known is passed over.
func (w *watch) replace(o batch.Object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	was, is := positionOf(w.object), positionOf(o)
	if is.before(was) {
		return
	}
	w.object = o
	if was.before(is) {
		close(w.changed)
		w.changed = make(chan struct{})
	}
}

// latest returns the batch as it was seen last, and what is closed when there
// is more to tell.
func (w *watch) latest() (batch.Object, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.object, w.changed
}
