package runner

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/headrace/headrace/internal/egress"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/task"
)

// HTTPCaller calls HTTP endpoints that users name, see egress.Client.
type HTTPCaller interface {
	Call(ctx context.Context, r egress.Request) (egress.Response, error)
}

// callHTTP makes the call of an HTTP task.
func (r *Runner) callHTTP(ctx context.Context, s task.Spec) (llm.Response, error) {
	if r.o.HTTP == nil {
		return llm.Response{}, forbidden("HTTP tasks are off: no hosts are allowed.")
	}
	header := http.Header{}
	for name, value := range s.Headers {
		header.Set(name, value)
	}
	res, err := r.o.HTTP.Call(ctx, egress.Request{
		Method: s.Method, URL: s.URL, Header: header, Body: []byte(s.Body), Timeout: s.CallTimeout(),
	})
	switch {
	case errors.Is(err, egress.ErrForbidden):
		return llm.Response{}, forbidden(err.Error())
	case errors.Is(err, egress.ErrTooLarge):
		return llm.Response{}, &llm.Error{Kind: llm.Permanent, Code: llm.CodeInvalid, Message: err.Error(), Err: err}
	case err != nil && ctx.Err() != nil:
		return llm.Response{}, err
	case err != nil:
		e := &llm.Error{Kind: llm.Transient, Code: llm.CodeConnection, Message: err.Error(), Err: err}
		if errors.Is(err, context.DeadlineExceeded) {
			e.Code = llm.CodeTimeout
		}
		return llm.Response{}, e
	}
	id := res.Header.Get("X-Request-Id")
	if res.Status >= http.StatusOK && res.Status < http.StatusMultipleChoices {
		return llm.Response{Status: res.Status, RequestID: id, Header: res.Header, Body: res.Body}, nil
	}
	return llm.Response{}, &llm.Error{
		Kind: kindOf(res), Status: res.Status, RequestID: id, Header: res.Header, Body: res.Body,
		Code: fmt.Sprintf("http_%d", res.Status), Message: http.StatusText(res.Status), RetryAfter: llm.RetryAfter(res.Header, time.Now()),
	}
}

// kindOf classifies an answer. A refused key is the task's own here: there is no
// provider whose other calls it would concern.
func kindOf(res egress.Response) llm.Kind {
	kind := llm.Classify(res.Status, res.Header, "", "")
	if kind == llm.Refused || kind == llm.Exhausted {
		return llm.Permanent
	}
	return kind
}

func forbidden(message string) *llm.Error {
	return &llm.Error{Kind: llm.Permanent, Code: task.CodeForbidden, Message: message}
}
