package webhook

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/headrace/headrace/internal/openai"
)

// Type is what has happened.
type Type string

// Types of events. Those of batches and responses are OpenAI's.
const (
	BatchCompleted Type = "batch.completed"
	BatchFailed    Type = "batch.failed"
	BatchExpired   Type = "batch.expired"
	BatchCancelled Type = "batch.cancelled"

	ResponseCompleted  Type = "response.completed"
	ResponseFailed     Type = "response.failed"
	ResponseIncomplete Type = "response.incomplete"
	ResponseCancelled  Type = "response.cancelled"

	TaskCompleted Type = "task.completed"
	TaskFailed    Type = "task.failed"
	TaskCancelled Type = "task.cancelled"
)

// Types is every type there is.
func Types() []Type {
	return []Type{
		BatchCompleted, BatchFailed, BatchExpired, BatchCancelled,
		ResponseCompleted, ResponseFailed, ResponseIncomplete, ResponseCancelled,
		TaskCompleted, TaskFailed, TaskCancelled,
	}
}

// Valid reports whether there is such a type.
func (t Type) Valid() bool { return slices.Contains(Types(), t) }

// OfBatch is the type of the event of a batch that has ended.
func OfBatch(s openai.Status) Type { return Type("batch." + string(s)) }

// Prefixes of ids.
const (
	PrefixEvent    = "evt_"
	PrefixDelivery = "whd_"
)

// Event is one thing that has happened, as receivers see it. Every delivery of
// it has the same bytes.
type Event struct {
	ID        string `json:"id"`
	Object    string `json:"object"` // always "event"
	Type      Type   `json:"type"`
	CreatedAt int64  `json:"created_at"` // unix seconds
	Data      Data   `json:"data"`
}

// Data is what an event is about.
type Data struct {
	// ID is that of the batch, the response or the task.
	ID string `json:"id"`
}

// NewEvent makes an event of something that has happened to the object with the
// given id. Its own id is a new one.
func NewEvent(t Type, subject string, at time.Time) Event {
	return EventOf(openai.NewID(PrefixEvent), t, subject, at)
}

// EventOf makes an event whose id was chosen before.
func EventOf(id string, t Type, subject string, at time.Time) Event {
	return Event{ID: id, Object: "event", Type: t, CreatedAt: at.Unix(), Data: Data{ID: subject}}
}

// Body is what is sent.
func (e Event) Body() ([]byte, error) { return json.Marshal(e) }
