package task

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"unicode/utf8"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/jsonscan"
	"github.com/headrace/headrace/internal/openai"
)

// Status is where a task stands.
type Status string

// Statuses of tasks.
const (
	Queued     Status = "queued"
	InProgress Status = "in_progress"
	Completed  Status = "completed"
	Failed     Status = "failed"
	Cancelled  Status = "cancelled"
)

// Statuses lists every status.
func Statuses() []Status { return []Status{Queued, InProgress, Completed, Failed, Cancelled} }

// Final reports whether nothing changes any more.
func (s Status) Final() bool { return s == Completed || s == Failed || s == Cancelled }

// Object is a task as clients see it. Times are in unix seconds.
type Object struct {
	ID         string `json:"id"`
	Object     string `json:"object"`
	Status     Status `json:"status"`
	CreatedAt  int64  `json:"created_at"`
	StartedAt  *int64 `json:"started_at"`
	FinishedAt *int64 `json:"finished_at"`

	URL         string            `json:"url"`
	Method      string            `json:"method,omitempty"`
	Queue       string            `json:"queue"`
	Priority    int               `json:"priority"`
	MaxAttempts int               `json:"max_attempts"`
	Timeout     batch.Duration    `json:"timeout"`
	NotBefore   *int64            `json:"not_before"`
	Deadline    *int64            `json:"deadline"`
	Webhook     *string           `json:"webhook"`
	Metadata    map[string]string `json:"metadata"`

	Attempts  []Attempt        `json:"attempts"`
	WaitingOn *batch.WaitingOn `json:"waiting_on"`
	Usage     *openai.Usage    `json:"usage"`
	Error     *Error           `json:"error"`

	// ResponseID is the task's name as a background response.
	ResponseID string `json:"response_id,omitempty"`
	Stream     bool   `json:"stream,omitempty"`

	// Deleted is set in the store alone, for what is left of a task that was
	// deleted.
	Deleted bool `json:"deleted,omitempty"`

	Result *Result `json:"result"` // last: see JSON
}

// Gone is what is left of a task that was deleted. It keeps the task from being
// carried out again.
func Gone(id ID) Object {
	return Object{ID: id.String(), Object: ObjectName, Status: Cancelled, Deleted: true}
}

// ObjectName is the "object" of a task.
const ObjectName = "task"

// Error says why a task has no answer.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Codes of errors that are not the provider's.
const (
	CodeCancelled = "task_cancelled"
	CodeDeadline  = "deadline_exceeded"
	CodeForbidden = "address_not_allowed"
)

// Attempt is one call that was made for a task.
type Attempt struct {
	StartedAt  int64         `json:"started_at"` // unix seconds
	DurationMS int64         `json:"duration_ms"`
	Error      *AttemptError `json:"error"`
	// WaitMS is how long the task was to wait before the next attempt.
	WaitMS int64 `json:"wait_ms,omitempty"`
	// Target is whom the call went to, if there is a choice of providers or the
	// call fell back.
	batch.Target
}

// AttemptError is what a call came to that failed.
type AttemptError struct {
	Kind       string `json:"kind"` // see llm.Kind
	StatusCode int    `json:"status_code,omitempty"`
	Code       string `json:"code,omitempty"`
	Message    string `json:"message"`
}

// Kinds of AttemptError that settle a task, at once or when there are as many as
// it may have.
const (
	kindPermanent = "permanent"
	kindTransient = "transient"
)

// Retries counts the attempts after which the task was, or will be, tried again.
// An attempt that ended the task is not among them, although for a moment the
// task is under way still: until its result is in the store.
func (o Object) Retries() int {
	n := len(o.Attempts)
	if n == 0 {
		return 0
	}
	tries := 0
	for _, a := range o.Attempts {
		if a.Error != nil && a.Error.Kind == kindTransient {
			tries++
		}
	}
	if last := o.Attempts[n-1].Error; last == nil || last.Kind == kindPermanent || tries >= o.MaxAttempts {
		return n - 1
	}
	return n
}

// Result is the provider's answer.
type Result struct {
	StatusCode int               `json:"status_code"`
	Headers    map[string]string `json:"headers"`
	Cached     bool              `json:"cached"`
	Coalesced  bool              `json:"coalesced"`
	// Target is who answered, if there is a choice of providers or the call fell
	// back.
	batch.Target
	// BodyEncoding is "base64" for a body that is neither JSON nor text.
	BodyEncoding string `json:"body_encoding,omitempty"`

	// Body is the answer's, byte for byte. It is the last field of the JSON.
	Body []byte `json:"-"`
}

// New is a task that was accepted at a time.
func New(id ID, s Spec, created Millis) Object {
	o := Object{
		ID: id.String(), Object: ObjectName, Status: Queued, CreatedAt: *max(created, 1000).Unix(),
		URL: s.URL, Method: s.Method, Queue: cmp.Or(s.Queue, DefaultQueue), Priority: s.Priority,
		MaxAttempts: s.Tries(), Timeout: batch.Duration(s.CallTimeout()),
		NotBefore: s.NotBefore.Unix(), Deadline: s.Deadline.Unix(), Metadata: s.Metadata,
		Attempts: []Attempt{}, Stream: s.Stream,
	}
	if s.Response {
		o.ResponseID = id.Response()
	}
	if s.Webhook != "" {
		o.Webhook = &s.Webhook
	}
	return o
}

// During is the task while it is under way, as p tells.
func (o Object) During(p Progress) Object {
	if p.StartedAt > 0 {
		o.Status, o.StartedAt = InProgress, &p.StartedAt
	}
	if len(p.Attempts) > 0 {
		o.Attempts = p.Attempts
	}
	o.WaitingOn = p.WaitingOn
	return o
}

// JSON is the object with its result's body as it came. encoding/json would
// reformat that, which is why Body is not one of its fields and why this is no
// MarshalJSON.
func (o Object) JSON() ([]byte, error) {
	if o.Result == nil {
		return json.Marshal(o)
	}
	result := *o.Result
	o.Result = &result
	var body []byte
	body, result.BodyEncoding = presentable(result.Body)
	data, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	data = data[:len(data)-len("}}")]
	data = append(data, `,"body":`...)
	data = append(data, body...)
	return append(data, "}}"...), nil
}

// presentable makes JSON of a body: itself, or a string, or base64.
func presentable(body []byte) (data []byte, encoding string) {
	if jsonscan.Valid(body) {
		return body, ""
	}
	text := string(body)
	if !utf8.Valid(body) {
		text, encoding = base64.StdEncoding.EncodeToString(body), "base64"
	}
	data, _ = json.Marshal(text) // a string always encodes
	return data, encoding
}
