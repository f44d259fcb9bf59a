package provider

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/sse"
)

// largestFrame bounds what one frame may use of memory. Events that carry an
// image are of a few MB.
const largestFrame = 32 << 20

// linger is how long a stream that is complete may take to end by itself, so
// that its connection can serve another call and nothing that follows is lost.
const linger = time.Second

// Stream implements llm.Streamer.
func (p *Provider) Stream(ctx context.Context, r llm.Request, emit func(sse.Frame) error) (llm.Response, error) {
	call, ok := endpoints[r.Endpoint]
	if !ok {
		return llm.Response{}, fmt.Errorf("endpoint %q cannot be called", r.Endpoint)
	}
	streamCtx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	s := newStream(r.Endpoint, emit, p.silence, stop)
	defer s.timer.Stop()
	x := &exchange{body: r.Body, stream: s}
	callCtx, cancel := context.WithTimeout(context.WithValue(streamCtx, exchangeKey{}, x), p.bound(r.Timeout))
	defer cancel()
	err := call(callCtx, p.client, p.model(r))
	switch {
	case s.refusal != nil:
		return x.known(), s.refusal
	case ctx.Err() != nil && !x.whole():
		return x.known(), ctx.Err()
	case x.err != nil && errors.Is(context.Cause(streamCtx), errSilence):
		x.err = fmt.Errorf("%w for %s", errSilence, s.silence)
	}
	response, err := x.outcome(err)
	if x.streamed && err != nil {
		return x.known(), x.broken(err)
	}
	return response, err
}

// errSilence is why a call ends whose provider sends nothing.
var errSilence = errors.New("the provider sent nothing")

// stream is the part of an exchange that is about an event stream.
type stream struct {
	endpoint openai.Endpoint
	emit     func(sse.Frame) error

	silence time.Duration
	timer   *time.Timer // ends the call unless it is stopped

	complete bool // its last event has come
	usage    openai.Usage
	failure  *failure // the provider has given up
	refusal  error    // emit's
}

// failure is an event by which a provider gives up.
type failure struct {
	llm.Event

	data []byte
}

// Error implements the error interface.
func (f *failure) Error() string { return cmp.Or(f.Message, "the provider gave no reason") }

func newStream(endpoint openai.Endpoint, emit func(sse.Frame) error, silence time.Duration, stop context.CancelCauseFunc) *stream {
	s := &stream{endpoint: endpoint, emit: emit, silence: silence}
	s.timer = time.AfterFunc(silence, func() { stop(errSilence) })
	return s
}

// send sends the request and waits for the head of the response.
func (s *stream) send(c *http.Client, req *http.Request) (*http.Response, error) {
	req.Header.Set("Accept", sse.ContentType)
	s.timer.Reset(s.silence)
	res, err := c.Do(req) //nolint:gosec // where to is the operator's choice
	s.timer.Stop()
	if err != nil {
		return nil, err
	}
	res.Body = &impatientBody{res.Body, s}
	return res, nil
}

// impatientBody is a body whose bytes must not be waited for too long. The time
// that its reader takes in between does not count.
type impatientBody struct {
	io.ReadCloser

	stream *stream
}

// Read implements io.Reader.
func (b *impatientBody) Read(p []byte) (int, error) {
	wait := b.stream.silence
	if b.stream.complete {
		wait = min(wait, linger)
	}
	b.stream.timer.Reset(wait)
	defer b.stream.timer.Stop()
	return b.ReadCloser.Read(p)
}

// isStream reports whether a response is a success that comes as a stream.
func isStream(res *http.Response) bool {
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")) // the parameters do not matter
	return media == sse.ContentType && succeeded(res.StatusCode)
}

// receive hands on what comes, to the end.
func (s *stream) receive(body io.Reader) error {
	for r := sse.NewReader(body, largestFrame); ; {
		frame, err := r.Next()
		event := llm.EventOf(frame.Data)
		if err == nil {
			event.Type = cmp.Or(event.Type, frame.Event)
		}
		last := s.ends(frame, event)
		if err == nil || last { // some leave out the empty line after the last event
			if err := s.take(frame, event, last); err != nil {
				return err
			}
		}
		switch {
		case err == nil:
		case s.complete, errors.Is(err, io.EOF) && !s.hasEnd():
			return nil
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("the stream broke off: %w", io.ErrUnexpectedEOF)
		default:
			return fmt.Errorf("read stream: %w", err)
		}
	}
}

// take notes what a frame says and hands it on.
func (s *stream) take(frame sse.Frame, event llm.Event, last bool) error {
	if event.Usage != nil {
		s.usage = *event.Usage
	}
	if event.Failed && !s.complete {
		s.failure = &failure{event, frame.Data}
		return s.failure
	}
	s.complete = s.complete || last
	s.refusal = s.emit(frame)
	return s.refusal
}

// hasEnd reports whether streams of the endpoint have an event that ends them.
func (s *stream) hasEnd() bool {
	return s.endpoint == openai.Responses || s.endpoint == openai.ChatCompletions || s.endpoint == openai.Completions
}

// ends reports whether a frame is the one that makes the stream complete.
func (s *stream) ends(frame sse.Frame, event llm.Event) bool {
	return s.hasEnd() && event.Ends(s.endpoint, frame.Data)
}

// known is what is known of a response, whatever has become of its stream.
func (x *exchange) known() llm.Response {
	r := llm.Response{Status: x.status, RequestID: x.header.Get("X-Request-Id"), Header: x.header}
	if x.stream != nil {
		r.Usage = x.stream.usage
	}
	return r
}

// broken completes the error of a stream that has begun.
func (x *exchange) broken(err error) error {
	e, ok := errors.AsType[*llm.Error](err)
	if !ok {
		return err
	}
	e.Status, e.RequestID, e.Header = x.status, x.header.Get("X-Request-Id"), x.header
	if errors.Is(x.err, sse.ErrTooLarge) {
		e.Code = llm.CodeInvalid
	}
	if f := x.stream.failure; f != nil {
		e.Code, e.Message, e.Body = f.Code, f.Error(), f.data
	}
	return e
}
