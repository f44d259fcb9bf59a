package queue

import (
	"github.com/headrace/headrace/internal/batch"
)

// Object is a queue as clients see it. Of the settings null is no limit. What is
// null from InFlight on is not known: see Live.
type Object struct {
	Object string `json:"object"`
	Name   string `json:"name"`

	Concurrency *int64           `json:"concurrency"`
	RPM         *int64           `json:"rpm"`
	TPM         *int64           `json:"tpm"`
	Paused      bool             `json:"paused"`
	Weights     map[string]int64 `json:"weights"`
	Fallback    *batch.Fallback  `json:"fallback"`

	// Live says that the queue itself has answered, which takes a worker.
	Live               bool       `json:"live"`
	InFlight           *Counts    `json:"in_flight"`
	Waiting            *Counts    `json:"waiting"`
	RequestsLastMinute *int64     `json:"requests_last_minute"`
	TokensLastMinute   *int64     `json:"tokens_last_minute"`
	Share              *float64   `json:"share"`
	Cooldowns          []Cooldown `json:"cooldowns"`
	Workers            []Holder   `json:"workers"`

	// Task is the place of the task that was asked about; absent if none was.
	Task *Place `json:"task,omitempty"`
}

// ObjectName is the "object" of a queue.
const ObjectName = "queue"

// Cooldown is the time for which a provider has asked to wait, in unix seconds.
type Cooldown struct {
	Provider string `json:"provider"`
	Message  string `json:"message"`
	Since    int64  `json:"since"`
	Until    int64  `json:"until"`
}

// Holder is a worker that holds a share of the queue's limits.
type Holder struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Permits  *int64 `json:"permits"` // null if the queue has no limit of concurrency
	InFlight Counts `json:"in_flight"`
	Waiting  Counts `json:"waiting"`
	// ExpiresAt is when its share goes back unless the worker is heard of, in
	// unix seconds.
	ExpiresAt int64 `json:"expires_at"`
}

// Place is that of a task in the queue.
type Place struct {
	ID string `json:"id"`
	// Position is null for a task that does not wait for this queue.
	Position *int64 `json:"position"`
}

// NewObject is a queue of which only the settings are known.
func NewObject(name string, s Settings) Object {
	o := Object{
		Object: ObjectName, Name: name, Concurrency: limitOf(s.Concurrency), RPM: limitOf(s.RPM), TPM: limitOf(s.TPM), Paused: s.Paused,
	}
	if len(s.Weights) > 0 {
		o.Weights = s.Weights
	}
	if !s.Fallback.IsZero() {
		o.Fallback = &s.Fallback
	}
	return o
}

func limitOf(n int64) *int64 {
	if n <= 0 {
		return nil
	}
	return &n
}

// Object is what a status tells clients that is true at a time, in unix ms.
func (s Status) Object(at int64) Object {
	o := NewObject(s.Name, s.Settings)
	o.Live, o.InFlight, o.Waiting = true, &s.InFlight, &s.Waiting
	o.RequestsLastMinute, o.TokensLastMinute, o.Share = &s.RequestsLastMinute, &s.TokensLastMinute, &s.Share
	o.Cooldowns = make([]Cooldown, len(s.Closings))
	for i, c := range s.Closings {
		o.Cooldowns[i] = Cooldown{
			Provider: c.Provider, Message: c.Message, Since: seconds(at - c.Age), Until: seconds(at + c.For + 999),
		}
	}
	o.Workers = make([]Holder, len(s.Workers))
	for i, w := range s.Workers {
		o.Workers[i] = Holder{
			ID: w.Worker, Name: w.Label, InFlight: w.InFlight, Waiting: w.Waiting, ExpiresAt: seconds(at + w.Expires),
		}
		if w.Permits != NoLimit {
			o.Workers[i].Permits = &w.Permits
		}
	}
	return o
}

// seconds makes unix seconds of unix milliseconds.
func seconds(ms int64) int64 { return ms / 1000 }
