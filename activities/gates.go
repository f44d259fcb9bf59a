package activities

import (
	"context"

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
