package activities

import (
	"context"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/llm"
)

// openGate lets everything in.
type openGate struct{}

func (openGate) Enter(context.Context) error { return nil }
func (openGate) Leave(error)                 {}

// refuser stands in for a provider when requests are not to be made.
type refuser struct{ unmade *Unmade }

// Call implements llm.Client.
func (r refuser) Call(context.Context, llm.Request) (llm.Response, error) {
	return llm.Response{}, &llm.Error{Kind: llm.Permanent, Code: r.unmade.Code, Message: r.unmade.Message}
}

// waitingOn says in the words of batches why a gate is closed.
func waitingOn(s limit.State) *batch.WaitingOn {
	if !s.Closed() {
		return nil
	}
	w := &batch.WaitingOn{Message: s.Message, Since: s.Since.Unix()}
	if !s.Until.IsZero() {
		until := s.Until.Unix()
		w.Until = &until
	}
	switch s.Kind {
	case llm.Throttled:
		w.Reason = batch.RateLimited
	case llm.Exhausted:
		w.Reason = batch.Exhausted
	case llm.Refused:
		w.Reason = batch.Refused
	case llm.Unreachable, llm.Transient, llm.Permanent:
		w.Reason = batch.Unreachable
	}
	return w
}
