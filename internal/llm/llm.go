package llm

import (
	"context"
	"net/http"
	"time"

	"github.com/headrace/headrace/internal/openai"
)

// Client makes calls to a provider. It is safe for concurrent use.
type Client interface {
	// Call makes exactly one attempt. A response with a 2xx status and a JSON
	// body is returned as it came; anything else is an *Error. When ctx ends
	// first, Call returns its error.
	Call(ctx context.Context, r Request) (Response, error)
}

// Request is one call.
type Request struct {
	Endpoint openai.Endpoint
	// Model is the one that Body names; only providers that spell it in the
	// URL need it.
	Model string
	// Body is the JSON that is sent, byte for byte.
	Body []byte
	// Timeout bounds the call.
	Timeout time.Duration
}

// Response is a provider's answer to a Request.
type Response struct {
	Status    int
	RequestID string // the provider's x-request-id, or ""
	// Header is as the provider sent it. It must not be changed.
	Header http.Header
	Body   []byte // as it came
	Usage  openai.Usage
}
