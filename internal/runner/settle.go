package runner

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/dispatch"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/record"
	"github.com/headrace/headrace/internal/streamlog"
	"github.com/headrace/headrace/internal/task"
)

// settle decides what a call means for its task. It returns false when the task
// is to be tried again here.
func (j *job) settle(a llm.Response, err error, begun time.Time) bool {
	if err == nil {
		j.answered(a, begun)
		return true
	}
	if errors.Is(err, streamlog.ErrTakenOver) {
		j.leaveToOthers()
		return true
	}
	failed := &llm.Error{Kind: llm.Permanent, Code: llm.CodeInvalid, Message: err.Error(), Err: err}
	if !errors.As(err, &failed) && j.ctx.Err() != nil {
		j.cutOff(begun)
		return true
	}
	wait := j.wait(failed)
	j.noteFailure(begun, failed, max(wait, failed.RetryAfter, 0))
	if j.ctx.Err() != nil && j.gaveUp() {
		return true
	}
	if wait < 0 || failed.Kind == llm.Transient && !failed.Uncounted && j.tries >= j.spec.Tries() {
		j.fail(failed)
		return true
	}
	if j.parent.runner.o.Retried != nil {
		j.parent.runner.o.Retried(failed.Kind)
	}
	j.release()
	j.tell()
	if wait > patience {
		j.handBack(time.Now().Add(wait), nil)
		return true
	}
	return !j.pause(wait)
}

// answered ends a task that has its answer.
func (j *job) answered(a llm.Response, begun time.Time) {
	if !j.replayed && !j.spec.HTTP() && a.Via == (batch.Target{}) {
		a.Via = batch.Target{Provider: j.resolved().Provider, Model: j.model}
	}
	a.Via = j.told(a.Via)
	j.note(begun, a.Via, nil)
	j.keep(task.Completed, &a, nil, &a.Usage)
}

// cutOff ends a task whose call was cut off.
func (j *job) cutOff(begun time.Time) {
	if errors.Is(context.Cause(j.ctx), errCancelled) || errors.Is(context.Cause(j.ctx), errDeadline) {
		j.note(begun, batch.Target{}, &llm.Error{Kind: llm.Permanent, Code: codeCutOff, Message: "The call was cut off."})
	}
	if !j.gaveUp() {
		j.leaveToOthers()
	}
}

// codeCutOff is the code of an attempt that was not let finish.
const codeCutOff = "cut_off"

// wait is how long a task waits before its next attempt, negative if there is
// none. Those that the gate holds back need not wait here.
func (j *job) wait(failed *llm.Error) time.Duration {
	switch failed.Kind {
	case llm.Throttled, llm.Exhausted, llm.Refused, llm.Unreachable:
		if !j.spec.HTTP() {
			return 0
		}
		return max(j.parent.runner.o.Backoff.After(j.tries+1), failed.RetryAfter)
	case llm.Transient:
		if failed.Uncounted {
			return max(j.parent.runner.o.Backoff.After(1), failed.RetryAfter)
		}
		return max(j.parent.runner.o.Backoff.After(j.tries+1), failed.RetryAfter)
	case llm.Permanent:
	}
	return -1
}

// pause waits. It returns false when the task has been settled or left to
// others instead.
func (j *job) pause(d time.Duration) bool {
	if d == 0 {
		return true
	}
	ctx, stop := j.untilCall()
	defer stop()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		j.stopWaiting()
		return false
	}
}

// fail settles a task with the error of its last attempt.
func (j *job) fail(e *llm.Error) {
	err := &task.Error{Code: e.Code, Message: e.Message}
	if err.Code == "" {
		err.Code = e.Kind.String()
	}
	var answer *llm.Response
	if e.Status != 0 {
		answer = &llm.Response{Status: e.Status, RequestID: e.RequestID, Header: e.Header, Body: e.Body}
	}
	j.keep(task.Failed, answer, err, nil)
}

// keep gives a task its end, and the end to the journal.
func (j *job) keep(status task.Status, answer *llm.Response, err *task.Error, usage *openai.Usage) {
	var result *task.Result
	if answer != nil {
		result = &task.Result{
			StatusCode: answer.Status, Headers: headers(answer.Header), Body: answer.Body, Target: answer.Via,
		}
	}
	j.keepResult(status, result, err, usage)
}

func (j *job) keepResult(status task.Status, result *task.Result, err *task.Error, usage *openai.Usage) {
	j.closeLog(true)
	o := j.object()
	now := time.Now().Unix()
	o.Status, o.FinishedAt, o.Result, o.Error, o.WaitingOn = status, &now, result, err, nil
	if usage != nil && *usage != (openai.Usage{}) {
		o.Usage = usage
	}
	kept, encodeErr := record.NewResult(j.n, o)
	if encodeErr != nil { // plain structs always encode
		panic(encodeErr)
	}
	j.parent.page.Put(kept)
}

// headers are those worth having of an answer, by their names in lower case.
func headers(h http.Header) map[string]string {
	kept := map[string]string{}
	for name, values := range h {
		name = strings.ToLower(name)
		switch {
		case len(values) == 0:
		case name == "content-type", name == "x-request-id", name == "retry-after", name == "location",
			strings.HasPrefix(name, "x-ratelimit-"), strings.HasPrefix(name, "openai-"):
			kept[name] = values[0]
		}
	}
	return kept
}

// call makes one call.
func (j *job) call(ctx context.Context, p dispatch.Provider, r llm.Request) (llm.Response, error) {
	switch {
	case j.spec.HTTP():
		return j.parent.runner.callHTTP(ctx, j.spec)
	case j.spec.Stream:
		return j.stream(ctx, p, r)
	default:
		return p.Call(ctx, r)
	}
}
