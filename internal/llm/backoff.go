package llm

import (
	"math/rand/v2"
	"time"
)

// Backoff is exponential backoff with full jitter: before attempt n+1 it waits
// a random time between 0 and min(Max, Base·2^(n-1)).
type Backoff struct {
	Base time.Duration
	Max  time.Duration
}

// DefaultBackoff starts like the OpenAI SDKs and goes on longer than they do,
// since nobody waits at a screen.
var DefaultBackoff = Backoff{Base: 500 * time.Millisecond, Max: 30 * time.Second}

// After returns how long to wait after the given attempt, counted from 1.
func (b Backoff) After(attempt int) time.Duration {
	ceiling := b.Max
	if shift := attempt - 1; b.Base <= b.Max>>shift { // then Base<<shift does not overflow
		ceiling = b.Base << shift
	}
	return rand.N(ceiling + 1) //nolint:gosec // jitter needs no secrecy
}
