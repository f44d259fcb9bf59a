package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/sse"
	"github.com/headrace/headrace/workflows"
)

// headerLastEventID is what a client that comes back has seen last.
const headerLastEventID = "Last-Event-Id"

// Names of events begin with eventPrefix; the state that a batch has reached
// follows, or progress.
const (
	eventPrefix   = "batch."
	eventProgress = eventPrefix + "progress"
)

// Times of event streams.
const (
	// progressEvery is the least time between two events of progress.
	progressEvery = 500 * time.Millisecond
	// heartbeatEvery keeps proxies from taking a quiet stream for a dead one.
	heartbeatEvery = 15 * time.Second
	// eventTimeout is how long a client may take to take an event.
	eventTimeout = 10 * time.Second
)

// batchEvents streams what becomes of a batch, and ends with it. A client that
// has seen the end already is told not to come again, as the standard of event
// streams has it.
func (a *API) batchEvents(c *gin.Context) error {
	o, err := a.knownBatch(c)
	if err != nil {
		return err
	}
	from := parsePosition(c.GetHeader(headerLastEventID))
	if o.Status.Final() && !from.before(positionOf(o)) {
		c.Status(http.StatusNoContent)
		return nil
	}
	l := &listener{stream: sse.NewWriter(c.Writer, eventTimeout), seen: from}
	if l.stream.Open() != nil {
		return nil // the client has left
	}
	ctx := c.Request.Context()
	watched, leave := a.watches.join(ctx, workflows.Run{Project: project(c), Batch: o.ID}, o)
	defer leave()
	l.follow(ctx, watched, a.stopping)
	return nil
}

// listener is a client of an event stream.
type listener struct {
	stream *sse.Writer
	seen   position
	told   time.Time // when the last event was sent
}

// follow tells what becomes of a batch until it has ended, the client has left
// or does not read, or the server stops.
func (l *listener) follow(ctx context.Context, watched *watch, stopping <-chan struct{}) {
	heartbeat := time.NewTicker(heartbeatEvery)
	defer heartbeat.Stop()
	for {
		o, changed := watched.latest()
		wait, err := l.tell(o)
		if err != nil || o.Status.Final() {
			return
		}
		var rested <-chan time.Time
		if wait > 0 {
			rested = time.After(wait)
		}
		select {
		case <-ctx.Done():
			return
		case <-stopping:
			return
		case <-changed:
		case <-rested:
		case <-heartbeat.C:
			if l.stream.Heartbeat() != nil {
				return
			}
		}
	}
}

// tell sends what is new to the client, or returns how long that must wait.
func (l *listener) tell(o batch.Object) (wait time.Duration, err error) {
	at := positionOf(o)
	if !l.seen.before(at) {
		return 0, nil
	}
	name := eventPrefix + string(o.Status)
	if at.step == l.seen.step {
		name = eventProgress
		if wait := progressEvery - time.Since(l.told); wait > 0 {
			return wait, nil
		}
	}
	data, err := json.Marshal(o)
	if err != nil {
		return 0, fmt.Errorf("encode batch: %w", err)
	}
	l.seen, l.told = at, time.Now()
	return 0, l.stream.Event(sse.Event{Name: name, ID: at.String(), Data: data})
}

// position says how far a batch has come. It is the id of the event that tells
// of it, so that any server can go on where another has stopped.
type position struct {
	step int   // of a batch's life
	done int64 // requests with an answer or an error
}

func positionOf(o batch.Object) position {
	return position{step: stepOf(o.Status), done: o.RequestCounts.Completed + o.RequestCounts.Failed}
}

// stepOf orders the states of a batch.
func stepOf(s openai.Status) int {
	const validating, inProgress, cancelling, finalizing, final = 0, 1, 2, 3, 4
	switch s {
	case openai.Validating:
		return validating
	case openai.InProgress:
		return inProgress
	case openai.Cancelling:
		return cancelling
	case openai.Finalizing:
		return finalizing
	case openai.Failed, openai.Completed, openai.Expired, openai.Cancelled:
		return final
	default:
		return validating
	}
}

// before reports whether p comes before q.
func (p position) before(q position) bool {
	return p.step < q.step || p.step == q.step && p.done < q.done
}

const positionFormat = "%d-%d"

// String implements fmt.Stringer.
func (p position) String() string { return fmt.Sprintf(positionFormat, p.step, p.done) }

// parsePosition reads the id of an event. Any other text is the beginning.
func parsePosition(id string) position {
	var p position
	if _, err := fmt.Sscanf(id, positionFormat, &p.step, &p.done); err != nil || p.String() != id {
		return position{}
	}
	return p
}
