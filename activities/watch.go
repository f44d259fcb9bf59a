package activities

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/headrace/headrace/internal/ledger"
)

// watcher waits for what may end a lane before its work is done: the workflow,
// the worker, or another attempt that has taken over.
type watcher struct {
	lane  *lane
	abort context.CancelFunc // cuts calls off
	stop  context.CancelFunc
	wg    sync.WaitGroup
	err   error // why the lane must not take its leave from the ledger
}

// watch begins to watch and to heed what the workflow says, and sends the lane's
// heartbeats.
func watch(ctx context.Context, l *lane, abort context.CancelFunc) *watcher {
	own, stop := context.WithCancel(context.WithoutCancel(ctx))
	w := &watcher{lane: l, abort: abort, stop: stop}
	w.wg.Go(func() { l.pulse.beat(own) })
	if l.a.Nudges != nil {
		nudges, end := l.a.Nudges.Listen(l.in.Run.Batch)
		w.wg.Go(func() {
			defer end()
			l.heed(own, nudges)
		})
	}
	w.wg.Go(func() { w.watch(own, ctx.Done(), activity.GetWorkerStopChannel(ctx)) })
	return w
}

// end stops watching and returns why the lane must not take its leave, or nil.
func (w *watcher) end() error {
	w.stop()
	w.wg.Wait()
	return w.err
}

func (w *watcher) watch(ctx context.Context, cancelled, stopping <-chan struct{}) {
	select {
	case <-ctx.Done():
	case <-stopping:
		w.leaveWorker(ctx)
	case <-w.lane.pulse.lost:
		w.err = ledger.ErrFenced
		w.abort()
	case <-w.lane.pulse.cancelled:
		w.obey(ctx)
	case <-cancelled:
		w.obey(ctx)
	}
}

// leaveWorker hands back what has not begun, and gives calls in flight the grace
// that the worker has.
func (w *watcher) leaveWorker(ctx context.Context) {
	w.err = errStopping
	w.lane.engine.Drain()
	w.wg.Go(func() { w.lane.handBack(ctx) })
	grace := time.NewTimer(w.lane.a.StopGrace)
	defer grace.Stop()
	select {
	case <-ctx.Done():
	case <-grace.C:
		w.abort()
	}
}

// askEvery is the time between two questions how to stop: a lane that drains
// may be told to abort.
const askEvery = 250 * time.Millisecond

// obey stops the lane as the ledger says. The activity was cancelled, and only
// the ledger knows how.
func (w *watcher) obey(ctx context.Context) {
	w.lane.engine.Drain()
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	for {
		stop, err := w.lane.ledger.stop(ctx)
		if errors.Is(err, ledger.ErrFenced) {
			w.err = err
		}
		if stop == ledger.Abort || w.err != nil {
			w.abort()
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
