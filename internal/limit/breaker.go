package limit

import (
	"cmp"
	"slices"
	"time"

	"github.com/headrace/headrace/internal/llm"
)

// A provider that fails every call is not to use up the attempts of all requests.
// One that fails a single request again and again may well serve the others, and
// that request is to fail.
const (
	// streakCalls failures in a row, of streakRequests different requests, say more
	// of the provider than of them, and are no attempts. They open the breaker when
	// they have gone on for streakTime: connections that break all at once do not.
	streakCalls    = 5
	streakRequests = 3
	streakTime     = time.Second
)

// callKey tells requests of a process apart.
type callKey struct {
	flow            string
	accepted, order int64
}

func (t *Ticket) key() callKey { return callKey{t.Flow, t.Accepted, t.Order} }

// streak is failures in a row.
type streak struct {
	calls    int
	requests [streakRequests]callKey
	distinct int
	since    time.Time
}

func (s *streak) add(now time.Time, call callKey) {
	if s.calls++; s.calls == 1 {
		s.since = now
	}
	if s.distinct == len(s.requests) || slices.Contains(s.requests[:s.distinct], call) {
		return
	}
	s.requests[s.distinct] = call
	s.distinct++
}

// failed books a failure that may be the provider's or the request's, and reports
// whether it is the provider's.
func (u *upstream) failed(now time.Time, call callKey, e *llm.Error, probe bool) bool {
	const serverError = 500
	if e.Status != 0 && e.Status < serverError { // it answered, if not well
		if probe {
			u.held(now, e, probe)
		}
		return false
	}
	if u.hold != nil {
		u.held(now, e, probe)
		return e.Status == 0 || !probe || u.hold.probed[call] < sparedProbes
	}
	u.streak.add(now, call)
	if u.streak.calls < streakCalls || u.streak.distinct < streakRequests {
		return false
	}
	if now.Sub(u.streak.since) >= streakTime {
		since := u.streak.since
		u.held(now, e, false)
		u.why.Since = since
	}
	return true
}

// sparedProbes is how often a request may be the probe that a failing provider
// answers with an error, before that is taken for the request's own. It is some
// minutes' worth if there is no other request.
const sparedProbes = 100

// probe is the call that is to find out whether a held provider serves again: of
// those that wait, one that has done so least often, so that a request which fails
// by itself does not keep the others out.
func (l *line) probe(u *upstream) *waiter {
	var best *waiter
	for _, f := range l.flows {
		for _, w := range f.waiters {
			if w.up != u || w.t.Bounded && l.gate.room <= 0 {
				continue
			}
			if best == nil || cmp.Or(
				cmp.Compare(u.hold.probed[w.t.key()], u.hold.probed[best.t.key()]),
				cmp.Compare(best.t.Priority, w.t.Priority), cmp.Compare(w.t.Accepted, best.t.Accepted), cmp.Compare(w.t.Order, best.t.Order),
			) < 0 {
				best = w
			}
		}
	}
	return best
}
