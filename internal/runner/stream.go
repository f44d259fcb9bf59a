package runner

import (
	"bytes"
	"context"
	"errors"

	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/dispatch"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/sse"
	"github.com/headrace/headrace/internal/streamlog"
)

// codeInterrupted is the code of a stream that was not ended as its endpoint
// ends streams, and of which nobody knows any more why.
const codeInterrupted = "stream_interrupted"

// stream makes the call of a task whose answer is a stream, and logs the stream
// as it comes. The body of the response is the whole stream, or that of a
// background response the object that its last event brings.
func (j *job) stream(ctx context.Context, p dispatch.Provider, r llm.Request) (llm.Response, error) {
	err := j.openLog() //nolint:contextcheck // the log outlives the call
	if errors.Is(err, streamlog.ErrEnded) {
		j.replayed = true // by whom, nobody knows any more
		return j.replay()
	}
	if err != nil {
		return llm.Response{}, err
	}
	if j.logged {
		if _, err := j.log.Append(ctx, []byte(streamlog.Restart)); err != nil {
			return llm.Response{}, err
		}
		j.logged = false
	}
	t := transcript{endpoint: openai.Endpoint(j.spec.URL)}
	response, err := p.Stream(ctx, r, func(f sse.Frame) error {
		t.add(f)
		j.logged = true
		_, err := j.log.Append(ctx, f.Raw)
		return err
	})
	if err != nil || t.raw.Len() == 0 {
		return response, err
	}
	return t.answer(response, j.spec.Response), nil
}

// name is that of the task's stream.
func (j *job) name() streamlog.Stream {
	return streamlog.Stream{Project: j.parent.part.Project, Group: j.parent.part.Group, N: j.n}
}

// openLog opens the task's log unless it is open. A store that is away costs
// time.
func (j *job) openLog() error {
	if j.log != nil {
		return nil
	}
	r := j.parent.runner
	var ended error
	err := r.journal.Persist(j.logContext(), func() (err error) {
		j.log, err = r.o.Logs.Open(j.logContext(), j.name())
		if errors.Is(err, streamlog.ErrEnded) {
			ended = err
			return nil
		}
		return err
	})
	if err == nil && ended == nil {
		j.logged = j.log.Resumed()
	}
	return errors.Join(err, ended)
}

// logContext is the context of writes to the log. They go on when the task is
// cancelled: its readers are to see the end.
func (j *job) logContext() context.Context { return j.parent.runner.ctx }

// closeLog lets go of the log of a streaming task: complete, or for another
// attempt to go on with. A task that ends before it has begun has a complete log
// too, so that nobody waits for one.
func (j *job) closeLog(complete bool) {
	if !j.spec.Stream || j.log == nil && (!complete || j.openLog() != nil) {
		return
	}
	log := j.log
	j.log = nil
	// An error means that the process ends, or that another attempt has taken
	// over: it will end the log.
	_ = log.Close(j.logContext(), complete)
}

// replay makes the answer of a stream that was logged whole by a process which
// was killed before it could keep the task's result.
func (j *job) replay() (llm.Response, error) {
	t := transcript{endpoint: openai.Endpoint(j.spec.URL)}
	for event, err := range j.parent.runner.o.Logs.Follow(j.ctx, j.name(), -1) {
		if err != nil {
			return llm.Response{}, err
		}
		if string(event.Frame) == streamlog.Restart {
			t = transcript{endpoint: t.endpoint}
			continue
		}
		t.add(sse.Parse(event.Frame))
	}
	if !t.ended {
		return llm.Response{}, &llm.Error{Kind: llm.Permanent, Code: codeInterrupted, Message: "The stream broke off."}
	}
	response := llm.Response{Status: 200, Header: map[string][]string{"Content-Type": {sse.ContentType}}}
	return t.answer(response, j.spec.Response), nil
}

// transcript is what has come of a stream.
type transcript struct {
	endpoint openai.Endpoint
	raw      bytes.Buffer
	final    []byte // the response that the last event brings, nil for none
	ended    bool
}

func (t *transcript) add(f sse.Frame) {
	t.raw.Write(f.Raw)
	if t.ended = t.ended || llm.EventOf(f.Data).Ends(t.endpoint, f.Data); t.ended && t.endpoint == openai.Responses {
		if response := gjson.GetBytes(f.Data, "response").Raw; response != "" {
			t.final = []byte(response)
		}
	}
}

// answer completes a response with what has come.
func (t *transcript) answer(r llm.Response, background bool) llm.Response {
	r.Body = t.raw.Bytes()
	if background && t.final != nil {
		r.Body = t.final
		r.Header = r.Header.Clone()
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}
