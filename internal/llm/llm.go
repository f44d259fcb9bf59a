package llm

import (
	"context"
	"net/http"
	"time"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/sse"
)

// Client makes calls to a provider. It is safe for concurrent use.
type Client interface {
	// Call makes exactly one attempt. A response with a 2xx status and a JSON
	// body is returned as it came; anything else is an *Error. When ctx ends
	// first, Call returns its error.
	Call(ctx context.Context, r Request) (Response, error)
}

// Streamer makes calls whose answers come piece by piece. It is safe for
// concurrent use.
type Streamer interface {
	// Stream makes exactly one attempt at a request whose body asks for an event
	// stream, and hands each frame to emit as soon as it has come, in order, from
	// the caller's own goroutine. While emit works nothing is read; its error ends
	// the call at once and is returned as it is.
	//
	// The response of a stream has no body: that is what emit was given. A
	// provider may answer with JSON all the same; then emit is never called, and
	// the response is as Call returns it.
	//
	// An answer that is no success is an *Error, as in Call. So is a stream that
	// breaks off or is not ended as its endpoint ends streams; and so is an event
	// that says that the provider has failed, which emit is not given, since
	// another attempt may do better: its data is the error's body. Both are
	// Transient, and the response that is returned with them has what is known,
	// the usage above all. Whether frames that emit was given can be taken back is
	// for the caller to know.
	//
	// When ctx ends first, Stream returns its error.
	Stream(ctx context.Context, r Request, emit func(sse.Frame) error) (Response, error)
}

// ModelLister tells which models a provider has. It is safe for concurrent use.
type ModelLister interface {
	// Models returns the provider's list, as it came.
	Models(ctx context.Context) (Response, error)
	// Model returns what the provider says of one model, as it came. A name that
	// could lead elsewhere is a Permanent error, and is not sent.
	Model(ctx context.Context, name string) (Response, error)
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
	// Via is the target that answered, in the words of requests, if that is not the
	// one that the call named.
	Via batch.Target
}
