package limit

import (
	"time"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/queue"
)

// Report is how a gate stands, for operators.
type Report struct {
	Queues []QueueReport // in no order
	// Bound is the most Bounded calls, 0 for no bound, and Room how many more of them
	// may start.
	Bound, Room int
}

// QueueReport is how the calls of one queue stand in this process. Queues that
// nobody has used lately are not reported.
type QueueReport struct {
	Name     string
	Settings queue.Settings
	InFlight queue.Counts
	// Waiting counts the calls that wait by what keeps them: a reason that clients
	// are told as well, or one of the Wait constants.
	Waiting map[batch.Reason]int64
	// Oldest is for how long a call has been next in its flow, at the longest.
	Oldest time.Duration

	// Permits is the most calls in flight that the lease allows, queue.NoLimit if
	// the queue has no limit.
	Permits int64
	// Leased says that there is a lease; Age is the time since it was renewed, and
	// Term how long it holds from then.
	Leased    bool
	Age, Term time.Duration

	Providers []ProviderReport // in no order
}

// ProviderReport is how a provider looks to the calls of one queue.
type ProviderReport struct {
	Name     string
	InFlight int
	State    State
}

// What calls wait for that no client is told of.
const (
	// WaitTurn: the call is about to start, or others of its queue go first.
	WaitTurn batch.Reason = "turn"
	// WaitProcess: the process makes as many calls of tasks as it may. Another
	// process could make more.
	WaitProcess batch.Reason = "process_full"
	// WaitWindow: the provider has throttled, and calls come back a few at a time.
	WaitWindow batch.Reason = "recovering"
)

// Report may be called at any time. It holds calls up for microseconds, more with
// many flows.
func (g *Gate) Report() Report {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	r := Report{Bound: g.o.Bound, Room: g.room, Queues: make([]QueueReport, 0, len(g.lines))}
	for _, l := range g.lines {
		r.Queues = append(r.Queues, l.describe(now))
	}
	return r
}

func (l *line) describe(now time.Time) QueueReport {
	r := QueueReport{
		Name: l.name, Settings: l.settings, InFlight: l.inFlight, Waiting: map[batch.Reason]int64{}, Oldest: l.oldest(now),
		Permits: l.lease.grant.Permits, Leased: l.lease.number != 0,
	}
	if r.Leased {
		r.Age, r.Term = now.Sub(l.lease.renewed), millis(l.lease.grant.TTL)
	}
	if l.lease.unlimited {
		r.Permits = queue.NoLimit
	}
	for _, f := range l.flows {
		if n := len(f.waiters); n > 0 {
			r.Waiting[l.keeps(f, now)] += int64(n)
		}
	}
	for name, u := range l.ups {
		r.Providers = append(r.Providers, ProviderReport{Name: name, InFlight: u.inFlight, State: u.state(now)})
	}
	return r
}

// keeps says what keeps the calls of a flow waiting.
func (l *line) keeps(f *flow, now time.Time) batch.Reason {
	w := f.waiters[0]
	switch {
	case l.blocked.reason != "":
		return l.blocked.reason
	case w.t.Bounded && l.gate.room <= 0:
		return WaitProcess
	case w.up == nil || w.up.wait(now) == 0:
		return WaitTurn
	}
	if s := w.up.state(now); s.Closed() {
		return s.WaitingOn().Reason
	}
	return WaitWindow
}

// Change is a provider that has closed or opened, as calls of a queue find it.
type Change struct {
	Queue, Provider string
	// State is the one that it is in now: if it is not closed, calls pass again, and
	// Was is how it was before. From one closed state to another both are set.
	State, Was State
}

// notice tells of a provider that has closed or opened since the last time. It
// takes the lock to be held.
func (l *line) notice(provider string, u *upstream) {
	closed := u.hold != nil || u.why.Closed()
	if !closed && !u.told.Closed() || closed && u.told.Closed() && u.told.Kind == u.why.Kind {
		return
	}
	was := u.told
	if u.told = (State{}); closed {
		u.told = u.why
	}
	if l.gate.o.Changed != nil {
		l.gate.o.Changed(Change{Queue: l.name, Provider: provider, State: u.told, Was: was})
	}
}
