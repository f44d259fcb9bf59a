package batch

import "slices"

// Target is where a call may go instead: another model, another provider, or
// both. Without a model it stays that of the call; without a provider the call
// goes where calls of that model go.
type Target struct {
	Model    string `json:"model,omitempty"`
	Provider string `json:"provider,omitempty"`
}

// Fallback says what to try when a call does not get its answer.
type Fallback struct {
	// Targets are tried in order.
	Targets []Target `json:"targets,omitempty"`
	// On are the kinds of errors, see llm.Kind, that make a call fall back.
	On []string `json:"on,omitempty"`
}

// FallbackKinds lists what Fallback.On may name: the kinds of llm.Kind.
func FallbackKinds() []string {
	return []string{"transient", "throttled", "exhausted", "refused", "unreachable", "permanent"}
}

// MaxTargets bounds Fallback.Targets.
const MaxTargets = 8

// IsZero reports whether there is nothing to fall back to.
func (f Fallback) IsZero() bool { return len(f.Targets) == 0 }

// For reports whether a call falls back after an error of a kind.
func (f Fallback) For(kind string) bool { return slices.Contains(f.On, kind) }
