package api

import (
	"context"
	"encoding/json"

	"github.com/gin-gonic/gin"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/sse"
	"github.com/headrace/headrace/internal/streamlog"
	"github.com/headrace/headrace/internal/task"
)

// codeInterrupted is the code of the error event of a stream that breaks off
// although its task goes on.
const codeInterrupted = "stream_interrupted"

// passStream answers with the events of a task's answer as they come. A task
// that ends before its first event is answered as any other is.
func (a *API) passStream(c *gin.Context, id task.ID, o task.Object) error {
	if o.Status.Final() {
		return writeAnswer(c, o)
	}
	ctx, cancel := a.wakeful(c.Request.Context())
	defer cancel()
	name := streamlog.Stream{Project: project(c), Group: id.Group, N: id.N}
	w := &passWriter{stream: sse.NewWriter(c.Writer, eventTimeout)}
	for event, err := range a.logs.Follow(ctx, name, -1) {
		if err == nil && !w.pass(event.Frame) {
			return nil
		}
		if err != nil {
			return w.broken(err)
		}
	}
	o, err := a.await(ctx, project(c), id)
	switch {
	case err != nil || !o.Status.Final():
		return w.broken(errUnavailable)
	case !w.begun:
		return writeAnswer(c, o)
	case o.Status != task.Completed:
		w.fail(o.Error)
	}
	return nil
}

// wakeful is a context that ends when a client leaves or the server stops.
func (a *API) wakeful(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-a.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel()
		<-stopped
	}
}

// passWriter passes the frames of a stream on.
type passWriter struct {
	stream *sse.Writer
	begun  bool
}

// pass passes a frame on and reports whether there is anybody who wants more. An
// attempt that begins anew cannot be told to whoever has read another's begin.
func (w *passWriter) pass(frame []byte) bool {
	if string(frame) == streamlog.Restart {
		if w.begun {
			w.fail(&task.Error{Code: codeInterrupted, Message: "The stream broke off and is tried again. Its task goes on."})
		}
		return !w.begun
	}
	if !w.begun {
		w.begun = true
		if w.stream.Open() != nil {
			return false
		}
	}
	return w.stream.Raw(frame) == nil
}

// broken is what becomes of an error: an event if the answer has begun.
func (w *passWriter) broken(err error) error {
	if !w.begun {
		return err
	}
	w.fail(&task.Error{Code: codeInterrupted, Message: "The stream broke off. Its task goes on."})
	return nil
}

// fail ends the stream with an error, in the form in which providers have it.
func (w *passWriter) fail(e *task.Error) {
	if e == nil {
		e = &task.Error{Code: codeInterrupted, Message: "The stream broke off."}
	}
	data, err := json.Marshal(openai.Envelope{Error: &openai.Error{Message: e.Message, Type: openai.TypeServer, Code: &e.Code}})
	if err == nil {
		_ = w.stream.Event(sse.Event{Data: data}) // a client that has left needs none
	}
}
