package task

import (
	"cmp"
	"net/url"
	"time"

	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
)

// Spec is one task as it was asked for. It travels as the input of a workflow.
type Spec struct {
	// URL is one of openai.Endpoints, or an http(s) URL.
	URL     string            `json:"url"`
	Method  string            `json:"method,omitempty"`  // of an HTTP task
	Headers map[string]string `json:"headers,omitempty"` // of an HTTP task
	// Body is sent byte for byte. It is a string rather than raw JSON because
	// encoders reformat that.
	Body string `json:"body,omitempty"`

	Options

	// Response says that clients know the task as a background response.
	Response bool `json:"response,omitempty"`
	// Stream says that the answer is a stream of events, which are kept.
	Stream bool `json:"stream,omitempty"`
	// Trace is the trace that the request was part of, as the header traceparent
	// has it; "" for none that anybody keeps.
	Trace string `json:"trace,omitempty"`
}

// Options are what a client may ask for. Zero values stand for the defaults.
type Options struct {
	Queue       string            `json:"queue,omitempty"`
	Priority    int               `json:"priority,omitempty"` // larger first
	MaxAttempts int               `json:"max_attempts,omitempty"`
	Timeout     batch.Duration    `json:"timeout,omitempty,omitzero"` // of one call
	NotBefore   Millis            `json:"not_before,omitempty"`
	Deadline    Millis            `json:"deadline,omitempty"`
	Webhook     string            `json:"webhook,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	Coalesce    bool              `json:"coalesce,omitempty"`
	Cache       batch.Duration    `json:"cache,omitempty,omitzero"`
	// Fallback says where the call may go instead.
	Fallback batch.Fallback `json:"fallback,omitzero"`
}

// Defaults and bounds of Options.
const (
	DefaultQueue  = batch.DefaultQueue
	PriorityLimit = batch.PriorityLimit
	CacheLimit    = batch.Duration(30 * 24 * time.Hour)
	// LatestStart and LatestDeadline bound how far ahead tasks may be put.
	LatestStart    = 365 * 24 * time.Hour
	LatestDeadline = 2 * LatestStart
)

// Tries is how often the task is tried before it fails.
func (o Options) Tries() int { return cmp.Or(o.MaxAttempts, batch.DefaultMaxAttempts) }

// CallTimeout bounds one call.
func (o Options) CallTimeout() time.Duration {
	return time.Duration(cmp.Or(o.Timeout, batch.DefaultTimeout))
}

// Model is the model that the body names, "" if it names none.
func (s Spec) Model() string { return gjson.Get(s.Body, "model").String() }

// HTTP reports whether the task calls an HTTP endpoint rather than the
// provider.
func (s Spec) HTTP() bool { return !openai.Endpoint(s.URL).Valid() }

// HTTPURL reads the URL of an HTTP task.
func HTTPURL(s string) (*url.URL, bool) {
	u, err := url.Parse(s)
	return u, err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// Millis is a time in milliseconds since 1970; 0 is none.
type Millis int64

// Now is the present.
func Now() Millis { return Millis(time.Now().UnixMilli()) }

// MillisOf returns a time; the zero time is none.
func MillisOf(t time.Time) Millis {
	if t.IsZero() {
		return 0
	}
	return Millis(t.UnixMilli())
}

// Time returns the time, the zero one for none.
func (m Millis) Time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(m))
}

// Unix returns the time in seconds since 1970, nil for none.
func (m Millis) Unix() *int64 {
	if m == 0 {
		return nil
	}
	seconds := int64(m) / 1000
	return &seconds
}
