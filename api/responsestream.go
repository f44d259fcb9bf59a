package api

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/sse"
	"github.com/headrace/headrace/internal/streamlog"
	"github.com/headrace/headrace/internal/task"
)

// Types of events of responses.
const (
	responseEventPrefix = "response."
	responseCreated     = responseEventPrefix + "created"
	responseQueued      = responseEventPrefix + "queued"
)

// opening are the events with which every stream begins. They are ours, and
// count as the first ones: the n-th event of the log follows as n + len(opening).
var opening = []string{responseCreated, responseQueued}

// closing are the types of events with which streams end.
var closing = []string{
	responseEventPrefix + "completed", responseEventPrefix + "incomplete", responseEventPrefix + "failed",
	responseEventPrefix + "cancelled",
}

// responseStream is a client of a response's stream.
type responseStream struct {
	api      *API
	response *response
	stream   *sse.Writer

	after int        // the last event that the client has, -1 for none
	last  int        // the last event that was met, sent or not
	begun bool       // an event was met that is no response.created
	held  *sse.Event // the last event that was met if it is one with which streams end
}

// streamResponse answers with the events of a response that come after one with
// a number, first those that are there, then each as it comes. They have the
// same numbers whoever asks, when and where.
func (a *API) streamResponse(c *gin.Context, r *response, after int) error {
	ctx, cancel := a.wakeful(c.Request.Context())
	defer cancel()
	if err := a.findRequest(ctx, r); err != nil {
		return err
	}
	s := &responseStream{
		api: a, response: r, stream: sse.NewWriter(c.Writer, eventTimeout),
		after: after, last: len(opening) - 1, begun: after >= len(opening),
	}
	if s.stream.Open() != nil || !s.open() || !s.follow(ctx) {
		return nil // the client has left, or is to come again
	}
	s.end(ctx)
	return nil
}

// open sends the events that are ours and reports whether the client has taken
// them.
func (s *responseStream) open() bool {
	o := s.response.task
	o.Status, o.Error = task.Queued, nil
	object := statusObject(o, s.response.request)
	for n, kind := range opening {
		if n > s.after && !s.send(n, kind, object) {
			return false
		}
	}
	return true
}

// send sends an event that carries the response.
func (s *responseStream) send(n int, kind string, object []byte) bool {
	data := append([]byte(`{"type":`), quoted(kind)...)
	data = strconv.AppendInt(append(data, `,"sequence_number":`...), int64(n), 10)
	data = append(append(append(data, `,"response":`...), object...), '}')
	return s.stream.Event(sse.Event{Name: kind, Data: data}) == nil
}

// name is that of the response's log.
func (s *responseStream) name() streamlog.Stream {
	return streamlog.Stream{Project: s.response.project, Group: s.response.id.Group, N: s.response.id.N}
}

// logged is an event of a log, or the error that ends the reading.
type logged struct {
	event streamlog.Event
	err   error
}

// follow sends what the log has and gets, and reports whether that is complete.
func (s *responseStream) follow(ctx context.Context) bool {
	reading, stop := context.WithCancel(ctx)
	var reader sync.WaitGroup
	defer reader.Wait()
	defer stop()
	events := make(chan logged)
	reader.Go(func() {
		defer close(events)
		for event, err := range s.api.logs.Follow(reading, s.name(), s.after-len(opening)) {
			select {
			case events <- logged{event, err}:
			case <-reading.Done():
				return
			}
		}
	})
	heartbeat := time.NewTicker(heartbeatEvery)
	defer heartbeat.Stop()
	for {
		select {
		case next, more := <-events:
			switch {
			case !more:
				return ctx.Err() == nil
			case next.err != nil || !s.pass(next.event):
				return false
			}
		case <-heartbeat.C:
			if s.stream.Heartbeat() != nil {
				return false
			}
			if s.abandoned(ctx) {
				return true
			}
		}
	}
}

// abandoned reports whether the log will never be complete, since the task was
// ended from outside.
func (s *responseStream) abandoned(ctx context.Context) bool {
	o, err := s.api.find(ctx, s.response.project, s.response.id)
	if err != nil || !wasEnded(o) {
		return false
	}
	s.response.task, s.last = o, max(s.last, s.after)
	return true
}

// wasEnded reports whether a task was ended from outside.
func wasEnded(o task.Object) bool { return o.Error != nil && o.Error.Code == codeEnded }

// pass sends an event of the log, if it is one to be sent now, and reports
// whether the client is still there.
func (s *responseStream) pass(e streamlog.Event) bool {
	event := s.meet(e)
	return event == nil || s.stream.Event(*event) == nil
}

// meet notes an event of the log and returns what is to be sent of it now, nil
// for nothing. The numbers of events that are not sent are left out: of comments
// and of the provider's first response.created, in whose place ours was sent. A
// later one says that the provider begins anew. An event with which streams end
// is held until the response has ended: it may turn out to be that of a call
// whose end nobody has lived to see, and which was made again.
func (s *responseStream) meet(e streamlog.Event) *sse.Event {
	s.last = e.N + len(opening)
	if string(e.Frame) == streamlog.Restart {
		s.held = nil
	}
	frame := sse.Parse(e.Frame)
	if frame.Data == nil {
		return nil
	}
	s.held = nil
	kind := cmp.Or(gjson.GetBytes(frame.Data, "type").String(), frame.Event)
	if kind == responseCreated && !s.begun {
		return nil
	}
	s.begun = true
	event := &sse.Event{Name: kind, Data: s.numbered(frame.Data)}
	if slices.Contains(closing, kind) {
		s.held, event = event, nil
	}
	return event
}

// numbered gives an event the number of the latest and its response our id. All
// other bytes stay as they are.
func (s *responseStream) numbered(data []byte) []byte {
	if r := gjson.GetBytes(data, "response"); r.IsObject() {
		if object, ok := renamed([]byte(r.Raw), s.response.id.Response()); ok {
			data, _ = withMember(data, "response", object)
		}
	}
	if own, ok := withMember(data, "sequence_number", strconv.AppendInt(nil, int64(s.last), 10)); ok {
		return own
	}
	return data
}

// end waits for the end of the response and sends the event with which the
// stream ends: the provider's, or one of ours if there is none, because the call
// has failed for good, say, or was answered in one piece. The stream of a
// cancelled response ends without one.
func (s *responseStream) end(ctx context.Context) {
	r := s.response
	if !r.task.Status.Final() {
		o, err := s.api.await(ctx, r.project, r.id)
		if err != nil || !o.Status.Final() {
			return
		}
		r.task = o
	}
	switch {
	case r.task.Status == task.Cancelled:
	case r.task.Status == task.Completed && s.held != nil:
		_ = s.stream.Event(*s.held) // a client that has left comes again
	case s.after < len(opening) || wasEnded(r.task) || s.recount(ctx):
		s.close(ctx)
	}
}

// recount looks again at a complete log, for its last number. A client that has
// been told the end needs it no more, and then it returns false.
func (s *responseStream) recount(ctx context.Context) bool {
	for e, err := range s.api.logs.Follow(ctx, s.name(), -1) {
		if err != nil {
			return false
		}
		s.meet(e)
	}
	return s.held == nil || s.response.task.Status != task.Completed
}

// close sends an event of ours with which the stream ends.
func (s *responseStream) close(ctx context.Context) {
	object, err := s.api.render(ctx, s.response)
	kind := responseEventPrefix + gjson.GetBytes(object, "status").String()
	if n := s.last + 1; err == nil && n > s.after && slices.Contains(closing, kind) {
		s.send(n, kind, oneLine(object))
	}
}
