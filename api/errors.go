package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/gin-gonic/gin"
	"go.temporal.io/api/serviceerror"

	"github.com/headrace/headrace/internal/openai"
)

// headerRequestID names one request to whoever asks about it.
const headerRequestID = "X-Request-Id"

// Keys of log lines.
const (
	keyRequestID = "request_id"
	keyMethod    = "method"
	keyPath      = "path"
	keyStatus    = "status"
	keyError     = "error"
	keyStack     = "stack"
	keyAddress   = "address"
	keyReason    = "reason"
	keyName      = "key_name"
	keyUnlogged  = "unlogged" // requests of the kind since the line before
)

// errForeignPage refuses a request that a page of another site has sent.
var errForeignPage = &openai.Error{
	Status: http.StatusForbidden, Type: openai.TypeInvalidRequest,
	Message: "Cross-origin requests from browsers are not accepted.",
}

// identify gives every request an id and lets nobody guess types.
func identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(headerRequestID, openai.NewID(openai.PrefixRequest))
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// recover turns a panic into an error. One that net/http asks for passes.
func (a *API) recover(c *gin.Context) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			a.logger.ErrorContext(c.Request.Context(), "handler panicked", keyError, p, keyStack, string(debug.Stack()),
				keyRequestID, c.Writer.Header().Get(headerRequestID))
			a.fail(c, errInternal)
		}
	}()
	c.Next()
}

var errInternal = &openai.Error{
	Status: http.StatusInternalServerError, Type: openai.TypeServer, Message: "Internal error.",
}

// fail answers with an error. After the first byte of an answer it can only cut
// the connection, so that nobody takes a part for the whole.
func (a *API) fail(c *gin.Context, err error) {
	e := a.translate(c, err)
	if c.Writer.Written() {
		panic(http.ErrAbortHandler)
	}
	writeError(c.Writer, e)
	c.Abort()
}

// translate makes any error one that may be shown. What is not known becomes
// "Internal error." and is logged with its request's id.
func (a *API) translate(c *gin.Context, err error) *openai.Error {
	var known *openai.Error
	var tooLarge *http.MaxBytesError
	var unavailable *serviceerror.Unavailable
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &tooLarge):
		e := openai.InvalidRequest("", "", "The request body is larger than %d bytes.", tooLarge.Limit)
		e.Status = http.StatusRequestEntityTooLarge
		return e
	case c.Request.Context().Err() != nil: // whatever it has become on its way
		return errGone
	case errors.As(err, &unavailable), errors.Is(err, context.DeadlineExceeded):
		a.logFailure(c, err)
		return errUnavailable
	default:
		a.logFailure(c, err)
		return errInternal
	}
}

func (a *API) logFailure(c *gin.Context, err error) {
	a.logger.ErrorContext(c.Request.Context(), "request failed", keyError, err, keyMethod, c.Request.Method, keyPath, c.FullPath(),
		keyRequestID, c.Writer.Header().Get(headerRequestID))
}

var (
	errUnavailable = &openai.Error{
		Status: http.StatusServiceUnavailable, Type: openai.TypeUnavailable,
		Message: "The service is not available at the moment. Please try again.",
	}
	// errGone is for a client that has hung up and will not see it.
	errGone = &openai.Error{
		Status: http.StatusRequestTimeout, Type: openai.TypeInvalidRequest, Message: "The client closed the connection.",
	}
)

// writeError writes the OpenAI error envelope.
func writeError(w http.ResponseWriter, e *openai.Error) {
	body, err := json.Marshal(openai.Envelope{Error: e})
	if err != nil { // plain strings always encode
		panic(err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if e.NoRetry {
		h.Set("X-Should-Retry", "false")
	}
	w.WriteHeader(e.Status)
	_, _ = w.Write(append(body, '\n'))
}

func contextWithTimeout(c *gin.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.Request.Context(), d)
}
