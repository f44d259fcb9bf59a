package api

import (
	"context"
	"errors"
	"time"

	"github.com/headrace/headrace/internal/live"
	"github.com/headrace/headrace/internal/record"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/task"
)

// Pauses between two looks at a task that somebody waits for. In the process
// that runs it the hub tells, and looking is for safety alone.
const (
	firstLook     = 50 * time.Millisecond
	longestLook   = time.Second
	lookWhenTold  = 5 * time.Second
	looksPerThink = 10 // of looks into the store, each so many ask Temporal too
)

// await waits until a task has ended, or until ctx ends or the server stops;
// then it returns the task as it is, with or without an error of ctx.
func (a *API) await(ctx context.Context, project string, id task.ID) (task.Object, error) {
	w := a.hub.Watch(id.String())
	defer w.Close()
	pause := firstLook
	if a.runner != nil {
		pause = lookWhenTold
	}
	for n := 1; ; n++ {
		o, err := a.look(ctx, project, id, n)
		if err != nil || o.Status.Final() {
			return o, err
		}
		if final := a.listen(ctx, w, pause); final != nil {
			return *final, nil
		}
		if ctx.Err() != nil || a.stopped() {
			return a.task(context.WithoutCancel(ctx), project, id)
		}
		if a.runner == nil {
			pause = min(2*pause, longestLook)
		}
	}
}

// look looks at a task for the n-th time. Most times the store has to do: a
// task that has not ended is of no interest.
func (a *API) look(ctx context.Context, project string, id task.ID, n int) (task.Object, error) {
	if n%looksPerThink == 0 {
		return a.task(ctx, project, id)
	}
	if a.runner != nil {
		// It learns of a result just after the store has it. Whoever asks next is
		// told by it too, and must not find the task further back.
		if o, ok := a.runner.Get(project, id); ok {
			return o, nil
		}
	}
	o, err := record.Find(ctx, a.store, project, id)
	if errors.Is(err, store.ErrNotFound) {
		return o, nil
	}
	return o, err
}

// listen waits for so long, until ctx ends or the server stops, and returns the
// task if it hears of its end.
func (a *API) listen(ctx context.Context, w *live.Watcher, d time.Duration) *task.Object {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-w.News:
			if o := w.Latest(); o.Status.Final() {
				return o
			}
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return nil
		case <-a.stopping:
			return nil
		}
	}
}

func (a *API) stopped() bool {
	select {
	case <-a.stopping:
		return true
	default:
		return false
	}
}
