package llm

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Kind says what to do about a call that failed.
type Kind int

// Kinds of errors.
const (
	// Transient errors pass: try again after a backoff, so many attempts.
	Transient Kind = iota
	// Throttled: the provider asks to wait. Waiting is not an attempt.
	Throttled
	// Exhausted: the account's quota or credit is used up. Every request would
	// get the same answer until somebody pays.
	Exhausted
	// Refused: the provider does not accept the key. Every request would get
	// the same answer until somebody mends it.
	Refused
	// Unreachable: no connection could be made, so that nothing was sent.
	Unreachable
	// Permanent errors are the request's own: trying again would not help.
	Permanent
)

// String names the kind as logs and summaries do.
func (k Kind) String() string {
	switch k {
	case Transient:
		return "transient"
	case Throttled:
		return "throttled"
	case Exhausted:
		return "exhausted"
	case Refused:
		return "refused"
	case Unreachable:
		return "unreachable"
	case Permanent:
		return "permanent"
	default:
		return fmt.Sprintf("kind %d", int(k))
	}
}

// Error is a call that failed.
type Error struct {
	Kind Kind
	// Status is the HTTP status, or 0 when no response came.
	Status    int
	RequestID string
	// Header is as the provider sent it, or nil when no response came. It must
	// not be changed.
	Header http.Header
	Body   []byte // of the response, as it came
	// Code is the provider's, or one of the Code constants.
	Code    string
	Message string
	// RetryAfter is how long the provider asks to wait; 0 when it does not say.
	RetryAfter time.Duration
	// Err is the cause when no whole response came.
	Err error
	// Uncounted says that the failure is the provider's rather than the request's,
	// which loses no attempt by it. Who makes calls one by one cannot tell.
	Uncounted bool
}

// Error implements the error interface.
func (e *Error) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("%s: provider answered %d: %s", e.Kind, e.Status, e.Message)
	}
	return fmt.Sprintf("%s: %s", e.Kind, e.Message)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Codes of errors that are not the provider's own words.
const (
	CodeConnection = "connection_error"
	CodeTimeout    = "request_timeout"
	CodeInvalid    = "invalid_response"
)

// exhaustedCodes are types or codes by which providers say that no more will
// be served until somebody pays: help.openai.com 5955604 and its error codes.
var exhaustedCodes = []string{
	"insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached", "billing_not_active",
	"organization_spend_limit_exceeded", "project_spend_limit_exceeded", "organization_usage_limit_exceeded",
}

// statusOverloaded is what Anthropic and others answer under load.
const statusOverloaded = 529

// Classify returns the kind of a response that is no success, from its status,
// its headers and the type and code of the error in its body.
//
// The header x-should-retry wins over the status, except that an exhausted
// quota or a refused key still holds the run: providers send "false" with them
// to stop clients from hammering, and failing every line would not serve the
// user.
func Classify(status int, h http.Header, errType, code string) Kind {
	kind := classify(status, h, errType, code)
	switch h.Get("X-Should-Retry") {
	case "true":
		if kind == Permanent || kind == Refused {
			return Transient
		}
	case "false":
		if kind == Transient || kind == Throttled {
			return Permanent
		}
	}
	return kind
}

func classify(status int, h http.Header, errType, code string) Kind {
	switch {
	case status == http.StatusPaymentRequired:
		return Exhausted
	case status == http.StatusTooManyRequests && (slices.Contains(exhaustedCodes, errType) || slices.Contains(exhaustedCodes, code)):
		return Exhausted
	case status == http.StatusTooManyRequests, status == statusOverloaded:
		return Throttled
	case status == http.StatusServiceUnavailable && RetryAfter(h, time.Now()) > 0:
		return Throttled
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return Refused
	case status == http.StatusRequestTimeout, status == http.StatusConflict, status >= http.StatusInternalServerError:
		return Transient
	case status >= http.StatusOK && status < http.StatusMultipleChoices:
		return Transient // a success whose body is no JSON
	default:
		return Permanent
	}
}
