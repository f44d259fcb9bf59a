package engine

import (
	"context"
	"errors"

	"github.com/headrace/headrace/internal/llm"
)

// work is one hand: it takes a job, calls, and settles what came of it, until
// the queue is closed or at its end.
func (e *Engine) work(ctx, starting context.Context) error {
	for {
		t, entering, ok := e.queue.take()
		if !ok {
			return nil
		}
		response, err := e.o.Caller.Call(ctx, entering, t.job, e.flying)
		if err != nil && (ctx.Err() != nil || starting.Err() != nil && errors.Is(err, starting.Err())) {
			return nil // cut off, or not begun
		}
		if err != nil && entering.Err() != nil && errors.Is(err, entering.Err()) {
			e.queue.untake(t) // hands were taken away before the call has begun
			continue
		}
		if err := e.settle(ctx, t, response, err); err != nil {
			return err
		}
	}
}

// flying books calls that begin or, with a negative number, end.
func (e *Engine) flying(n int) { e.inFlight.Add(int64(n)) }

// retried tells of a call that will be made again.
func (e *Engine) retried(kind llm.Kind) {
	if e.o.Retried != nil {
		e.o.Retried(kind)
	}
}

// settle puts a task back into the queue or its outcome into the sink.
func (e *Engine) settle(ctx context.Context, t task, response llm.Response, err error) error {
	var failed *llm.Error
	if err != nil {
		failed = asError(err)
		switch failed.Kind {
		case llm.Throttled, llm.Exhausted, llm.Refused, llm.Unreachable:
			e.retried(failed.Kind)
			e.queue.again(t) // the gate knows when
			return nil
		case llm.Transient:
			if failed.Uncounted {
				e.retried(failed.Kind)
				e.queue.later(t, max(e.o.Backoff.After(1), failed.RetryAfter))
				return nil
			}
			if t.job.Attempt++; t.job.Attempt < e.o.MaxAttempts {
				wait := max(e.o.Backoff.After(t.job.Attempt), failed.RetryAfter)
				e.retried(failed.Kind)
				e.queue.later(t, wait)
				return nil
			}
		case llm.Permanent:
		}
	}
	if err := e.sink.Put(ctx, Outcome{Job: t.job, Response: response, Err: failed}); err != nil {
		return err
	}
	e.queue.settled()
	return nil
}

// asError makes the *llm.Error that clients promise out of any error, so that
// a client which breaks its promise costs a line and not the run.
func asError(err error) *llm.Error {
	if e, ok := err.(*llm.Error); ok { //nolint:errorlint // clients return it unwrapped, and this path is hot
		return e
	}
	return &llm.Error{Kind: llm.Permanent, Code: llm.CodeInvalid, Message: err.Error(), Err: err}
}
