package batch

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// HandsPerLane is the most calls that one lane keeps in flight.
const HandsPerLane = 64

// Defaults and bounds of Options.
const (
	DefaultMaxConcurrency = 64
	MaxConcurrencyLimit   = 10_000
	DefaultMaxAttempts    = 5
	MaxAttemptsLimit      = 100
	// DefaultTimeout is that of OpenAI's own SDKs.
	DefaultTimeout = Duration(10 * time.Minute)
	TimeoutLimit   = Duration(24 * time.Hour)
)

// Options are what a client may ask for in the "headrace" object of a request
// that creates a batch.
type Options struct {
	// MaxConcurrency is the most calls of this batch in flight at once, over
	// all workers.
	MaxConcurrency int `json:"max_concurrency"`
	// MaxAttempts is how often a request is tried before it fails. Waiting for
	// a rate limit, a key or a connection costs no attempt.
	MaxAttempts int `json:"max_attempts"`
	// Timeout bounds one call.
	Timeout Duration `json:"timeout"`

	// Queue is the one whose limits the calls keep to; with "", each call keeps to
	// those of its provider's.
	Queue string `json:"queue,omitempty"`
	// Priority is that of the calls among those of their queue. Read it with
	// CallPriority: batches of earlier releases have none.
	Priority *int `json:"priority,omitempty"`
	// Fallback says where calls may go instead.
	Fallback Fallback `json:"fallback,omitzero"`
}

// DefaultOptions are those of a batch that asks for nothing.
func DefaultOptions() Options {
	return Options{
		MaxConcurrency: DefaultMaxConcurrency, MaxAttempts: DefaultMaxAttempts, Timeout: DefaultTimeout,
		Priority: new(PriorityBatch),
	}
}

// CallPriority is the priority of the batch's calls.
func (o Options) CallPriority() int {
	if o.Priority == nil {
		return PriorityBatch
	}
	return *o.Priority
}

// Lanes returns the hands of each lane that works on a batch of the given
// number of requests: as many lanes as needed, their hands as even as possible
// and together MaxConcurrency, or fewer when there are fewer requests.
func (o Options) Lanes(requests int64) []int { return Split(o.Hands(requests)) }

// Hands is the most calls in flight that a batch of the given number of requests
// may have.
func (o Options) Hands(requests int64) int {
	return int(min(int64(o.MaxConcurrency), max(requests, 1)))
}

// Split deals hands out to as few lanes as can have them, evenly.
func Split(hands int) []int {
	lanes := make([]int, (hands+HandsPerLane-1)/HandsPerLane)
	for i := range lanes {
		lanes[i] = hands / len(lanes)
		if i < hands%len(lanes) {
			lanes[i]++
		}
	}
	return lanes
}

// Duration is a time.Duration that JSON spells as "90s", "24h" or "7d".
type Duration time.Duration

// String implements fmt.Stringer.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON implements json.Unmarshaler.
func (d *Duration) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("duration: expected a string such as \"90s\": %w", err)
	}
	if s == Duration(0).String() { // nobody may ask for it, but it comes back
		*d = 0
		return nil
	}
	v, err := ParseDuration(s)
	*d = Duration(v)
	return err
}

// ParseDuration reads a positive duration as Go spells it, or a whole number
// of days: "90s", "1h30m", "7d".
func ParseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok && err != nil {
		var n uint64
		if n, err = strconv.ParseUint(days, 10, 16); err == nil {
			d = time.Duration(n) * 24 * time.Hour
		}
	}
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is no duration such as 90s, 24h or 7d", s)
	}
	return d, nil
}
