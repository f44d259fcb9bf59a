package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/headrace/headrace/internal/live"
	"github.com/headrace/headrace/internal/sse"
	"github.com/headrace/headrace/internal/task"
)

// taskEventPrefix begins the names of events; a status follows, or retrying.
const (
	taskEventPrefix = "task."
	eventRetrying   = taskEventPrefix + "retrying"
)

// taskEvents streams what becomes of a task, and ends with it. A client that has
// seen the end already is told not to come again.
func (a *API) taskEvents(c *gin.Context) error {
	id, err := taskID(c)
	if err != nil {
		return err
	}
	ctx := c.Request.Context()
	w := a.hub.Watch(id.String())
	defer w.Close()
	o, err := a.task(ctx, project(c), id)
	if err != nil {
		return known(err, c.Param("id"))
	}
	l := &taskListener{stream: sse.NewWriter(c.Writer, eventTimeout), seen: -1}
	if n, err := strconv.Atoi(c.GetHeader(headerLastEventID)); err == nil {
		l.seen = n
	}
	if o.Status.Final() && l.seen >= stage(o) {
		c.Status(http.StatusNoContent)
		return nil
	}
	if l.stream.Open() != nil {
		return nil // the client has left
	}
	for l.tell(o) == nil && !o.Status.Final() {
		next, err := a.nextState(ctx, l.stream, project(c), id, w)
		if err != nil {
			return nil //nolint:nilerr // the client left, or the server stops: it comes again
		}
		o = next
	}
	return nil
}

// lookForEvents is the time between two looks at a task of which nobody in this
// process tells.
const lookForEvents = 500 * time.Millisecond

// nextState waits until there may be something to tell and returns the task as
// it is then. Meanwhile it sends heartbeats.
func (a *API) nextState(
	ctx context.Context, stream *sse.Writer, project string, id task.ID, w *live.Watcher,
) (task.Object, error) {
	look := time.NewTicker(lookForEvents)
	defer look.Stop()
	heartbeat := time.NewTicker(heartbeatEvery)
	defer heartbeat.Stop()
	for {
		select {
		case <-w.News:
			return *w.Latest(), nil
		case <-look.C:
			return a.task(ctx, project, id)
		case <-heartbeat.C:
			if err := stream.Heartbeat(); err != nil {
				return task.Object{}, err
			}
		case <-ctx.Done():
			return task.Object{}, ctx.Err()
		case <-a.stopping:
			return task.Object{}, http.ErrServerClosed
		}
	}
}

// taskListener is a client of an event stream.
type taskListener struct {
	stream *sse.Writer
	seen   int // the latest stage that was told
}

// tell tells of a task's state unless it was told before.
func (l *taskListener) tell(o task.Object) error {
	now := stage(o)
	if now <= l.seen {
		return nil
	}
	data, err := o.JSON()
	if err != nil {
		return err
	}
	l.seen = now
	name := taskEventPrefix + string(o.Status)
	if o.Status == task.InProgress && o.Retries() > 0 {
		name = eventRetrying
	}
	return l.stream.Event(sse.Event{Name: name, ID: strconv.Itoa(now), Data: data})
}

// finalStage is that of a task that has ended.
const finalStage = 1 << 20

// stage numbers the states of a task in the order in which it goes through them.
func stage(o task.Object) int {
	switch {
	case o.Status.Final():
		return finalStage
	case o.Status == task.Queued:
		return 0
	default:
		return 1 + o.Retries()
	}
}
