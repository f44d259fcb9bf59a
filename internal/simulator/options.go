package simulator

import (
	"errors"
	"fmt"
	"slices"
)

// Options say how a Simulator behaves. The zero value answers everything at
// once and without a fault. POST /control takes the same object as JSON, and
// changes only the members that are named in it.
type Options struct {
	// Seed makes chance repeatable: latencies, faults and embeddings.
	Seed uint64 `json:"seed"`

	// Latency is the time from the arrival of a request to its answer, or to
	// the first event of a stream. Refusals (400, 401, 404, 429) do not wait.
	Latency Latency `json:"latency"`
	// StreamInterval is the time between two events of a stream.
	StreamInterval Latency `json:"stream_interval"`

	// RPM and TPM are the requests and tokens that are granted in a minute,
	// over all models together; 0 means no limit. They refill continuously. A
	// call is charged its prompt and all of the completion that it will get, at
	// its start. What is refused, or answered 400 or 401, is charged nothing.
	RPM int64 `json:"rpm"`
	TPM int64 `json:"tpm"`
	// RPMBurst and TPMBurst are what can be spent at once after a pause; 0
	// means one minute's worth.
	RPMBurst int64 `json:"rpm_burst"`
	TPMBurst int64 `json:"tpm_burst"`
	// MaxConcurrency is the number of calls that may be worked on at the same
	// time; 0 means no limit. A call's place is free again before its caller can
	// see the end of its answer.
	MaxConcurrency int64 `json:"max_concurrency"`

	// Faults are the rates of faults by chance.
	Faults Faults `json:"faults"`
	// RetryAfter is the Retry-After, in seconds, of the 503 of
	// Faults.Unavailable and the 429 of Faults.Throttled; 0 means 1.
	RetryAfter int64 `json:"retry_after"`

	// APIKey is the only bearer token that is accepted; empty accepts any, and
	// none.
	APIKey string `json:"api_key,omitempty"`
	// Models are the names that are served; others are answered 404. Empty
	// serves every name.
	Models []string `json:"models"`

	// Persistent has calls whose client has left go on until their answer is due,
	// and hold their place till then, as with providers that do not look.
	Persistent bool `json:"persistent"`

	// Down closes every connection that brings an API request, and those whose
	// calls wait for their answer.
	Down bool `json:"down"`
}

// Faults are the shares of calls, from 0 to 1, that go wrong in each way. Their
// sum is at most 1. They come after the latency.
type Faults struct {
	// Error is a 500 with OpenAI's JSON error.
	Error float64 `json:"error"`
	// Unavailable is a 503 with a Retry-After.
	Unavailable float64 `json:"unavailable"`
	// Throttled is a 429 with a Retry-After, as of a limit that nobody told of.
	Throttled float64 `json:"throttled"`
	// Quota is a 429 with the code insufficient_quota.
	Quota float64 `json:"quota"`
	// Cut closes the connection before any byte of the answer.
	Cut float64 `json:"cut"`
	// Reset does so with a TCP reset.
	Reset float64 `json:"reset"`
	// Middle closes the connection after half of the answer's body.
	Middle float64 `json:"middle"`
	// Half is a 200 whose complete body is the first half of the answer: not
	// valid JSON.
	Half float64 `json:"half"`
	// HTML is a 500 with a web page, as proxies send it.
	HTML float64 `json:"html"`
	// Stall never answers: it ends when the client leaves.
	Stall float64 `json:"stall"`
}

// Bounds of Options. What a bucket holds is counted in millionths of a sixtieth
// of a token, which maxPerMinute keeps within 64 bits.
const (
	maxPerMinute   = 100_000_000_000
	maxConcurrency = 1_000_000
	maxRetryAfter  = 24 * 60 * 60
)

// Validate reports what is out of range, by the JSON names.
func (o Options) Validate() error {
	return errors.Join(
		o.Latency.validate("latency"),
		o.StreamInterval.validate("stream_interval"),
		within("rpm", o.RPM, maxPerMinute),
		within("tpm", o.TPM, maxPerMinute),
		within("rpm_burst", o.RPMBurst, maxPerMinute),
		within("tpm_burst", o.TPMBurst, maxPerMinute),
		within("max_concurrency", o.MaxConcurrency, maxConcurrency),
		within("retry_after", o.RetryAfter, maxRetryAfter),
		o.Faults.validate(),
	)
}

func within(name string, value, highest int64) error {
	if value < 0 || value > highest {
		return fmt.Errorf("%s is %d: allowed are 0 (none) to %d", name, value, highest)
	}
	return nil
}

func (f Faults) validate() error {
	var sum float64
	for _, kind := range chanceFaults() {
		rate := f.rate(kind)
		if !(rate >= 0 && rate <= 1) { // also refuses NaN
			return fmt.Errorf("faults.%s is %v: allowed are 0 to 1", kind, rate)
		}
		sum += rate
	}
	// Ten rates of 0.1 add up to a little more than 1 in binary fractions.
	const rounding = 1e-9
	if sum > 1+rounding {
		return fmt.Errorf("faults add up to %v: at most 1 is allowed", sum)
	}
	return nil
}

// clone returns a copy that shares no memory with o.
func (o Options) clone() Options {
	o.Models = slices.Clone(o.Models)
	return o
}
