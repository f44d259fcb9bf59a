package batch

import (
	"github.com/headrace/headrace/internal/openai"
)

// Object is a batch as clients see it: OpenAI's object, and beside its fields
// one of headrace's own, which SDKs pass over.
type Object struct {
	openai.Batch

	Headrace Extension `json:"headrace"`
}

// Extension is what headrace tells of a batch beyond OpenAI's object.
type Extension struct {
	Options

	// RetryOf is the batch whose failed and unfinished requests these are.
	RetryOf string `json:"retry_of,omitempty"`

	// Paused says that no call begins until the batch is resumed.
	Paused bool `json:"paused,omitempty"`

	// Webhook is the URL that hears of the end of the batch, "" for none.
	Webhook string `json:"webhook,omitempty"`

	// ProblemCount is the number of all bad lines of an input that was refused,
	// of which errors lists the first 1,000.
	ProblemCount int64 `json:"problem_count,omitempty"`

	// InFlight is the number of calls under way, Retrying that of requests
	// which failed and wait for their next attempt.
	InFlight int `json:"in_flight"`
	Retrying int `json:"retrying"`
	// WaitingOn says what holds the batch up; null while nothing does.
	WaitingOn *WaitingOn `json:"waiting_on"`
}

// WaitingOn says what holds a run up.
type WaitingOn struct {
	Reason  Reason `json:"reason"`
	Message string `json:"message"` // the provider's or the system's own words
	Since   int64  `json:"since"`   // unix seconds
	Until   *int64 `json:"until"`   // unix seconds; null when nobody can tell
	// Position is that of a task in the line of its queue, from 1.
	Position *int64 `json:"position,omitempty"`
}

// Reason names what a run waits for.
type Reason string

// Reasons why a run waits. In all of them requests lose no attempts.
const (
	// RateLimited: the provider asked for a pause.
	RateLimited Reason = "rate_limited"
	// Unreachable: no connection to the provider can be made.
	Unreachable Reason = "unreachable"
	// Refused: the provider does not accept the key.
	Refused Reason = "refused"
	// Exhausted: the account's quota or credit is used up.
	Exhausted Reason = "exhausted"
	// StorageFailing: results cannot be written, the disk is full for example.
	StorageFailing Reason = "storage_failing"
	// ProviderFailing: the provider fails every call.
	ProviderFailing Reason = "provider_failing"
	// Paused: somebody has paused the run or its queue.
	Paused Reason = "paused"
	// ConcurrencyLimit: as many calls are in flight as the queue allows.
	ConcurrencyLimit Reason = "concurrency_limit"
	// RequestLimit: the queue's requests per minute are used up.
	RequestLimit Reason = "request_limit"
	// TokenLimit: the queue's tokens per minute are used up.
	TokenLimit Reason = "token_limit"
	// QueueCrowded: more calls wait in the queue than one worker holds.
	QueueCrowded Reason = "queue_crowded"
	// QueueUnavailable: nobody can tell what the queue allows.
	QueueUnavailable Reason = "queue_unavailable"
)

// Progress is what one lane has done so far, over all its attempts. Counts
// never fall.
type Progress struct {
	Lane      int          `json:"lane"`
	Completed int64        `json:"completed"`
	Failed    int64        `json:"failed"`
	Usage     openai.Usage `json:"usage"`

	InFlight  int        `json:"in_flight"`
	Retrying  int        `json:"retrying"`
	WaitingOn *WaitingOn `json:"waiting_on,omitempty"`
}

// Watch is o with what its running lanes report added to it. What they wait for
// does not matter while the batch is paused.
func (o Object) Watch(lanes []Progress) Object {
	var usage openai.Usage
	if o.Usage != nil {
		usage = *o.Usage
	}
	for _, p := range lanes {
		o.RequestCounts.Completed += p.Completed
		o.RequestCounts.Failed += p.Failed
		usage.Add(p.Usage)
		o.Headrace.InFlight += p.InFlight
		o.Headrace.Retrying += p.Retrying
		if p.WaitingOn != nil && !o.Headrace.Paused && (o.Headrace.WaitingOn == nil || p.WaitingOn.Since < o.Headrace.WaitingOn.Since) {
			o.Headrace.WaitingOn = p.WaitingOn
		}
	}
	if o.InProgressAt != nil {
		o.Usage = &usage
	}
	return o
}
