package queue

import "github.com/headrace/headrace/internal/batch"

// Default is the queue of everything that names none.
const Default = "default"

// Settings are what an operator says of a queue. Zero values are no limits.
type Settings struct {
	// Concurrency is the most calls in flight. 1 makes the queue run its calls
	// strictly one after another, in the order in which they were accepted.
	Concurrency int64 `json:"concurrency,omitempty"`
	// RPM and TPM are requests and tokens a minute.
	RPM int64 `json:"rpm,omitempty"`
	TPM int64 `json:"tpm,omitempty"`
	// Paused lets no call begin.
	Paused bool `json:"paused,omitempty"`
	// Weights are the shares of projects where several wait; 1 if not named.
	Weights map[string]int64 `json:"weights,omitempty"`
	// Fallback is what calls of the queue may fall back to that name nothing
	// themselves.
	Fallback batch.Fallback `json:"fallback,omitzero"`
}

// Bounds of Settings.
const (
	ConcurrencyLimit = 100_000
	RPMLimit         = 100_000_000
	TPMLimit         = 10_000_000_000
	WeightLimit      = 1000
)

// Limited reports whether the settings hold anything back.
func (s Settings) Limited() bool {
	return s.Concurrency > 0 || s.RPM > 0 || s.TPM > 0 || s.Paused
}

// Sequential reports whether calls go one after another.
func (s Settings) Sequential() bool { return s.Concurrency == 1 }

// Weight is that of a project.
func (s Settings) Weight(project string) int64 {
	if w := s.Weights[project]; w > 0 {
		return w
	}
	return 1
}

// Change is a command to the queue: it replaces the fields that are set. Applied
// twice it does no more than once, and the last one wins.
type Change struct {
	Concurrency *int64            `json:"concurrency,omitempty"`
	RPM         *int64            `json:"rpm,omitempty"`
	TPM         *int64            `json:"tpm,omitempty"`
	Paused      *bool             `json:"paused,omitempty"`
	Weights     *map[string]int64 `json:"weights,omitempty"`
	Fallback    *batch.Fallback   `json:"fallback,omitempty"`
}

// Replace is the change to exactly the given settings.
func Replace(s Settings) Change {
	if s.Weights == nil { // which JSON would take for a field that is not set
		s.Weights = map[string]int64{}
	}
	return Change{
		Concurrency: &s.Concurrency, RPM: &s.RPM, TPM: &s.TPM, Paused: &s.Paused, Weights: &s.Weights, Fallback: &s.Fallback,
	}
}

// Apply returns s as changed by one change after another.
func (s Settings) Apply(changes ...Change) Settings {
	for _, c := range changes {
		set(&s.Concurrency, c.Concurrency)
		set(&s.RPM, c.RPM)
		set(&s.TPM, c.TPM)
		set(&s.Paused, c.Paused)
		set(&s.Weights, c.Weights)
		set(&s.Fallback, c.Fallback)
	}
	return s
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}
