package limit

import (
	"time"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/queue"
)

// lease is a process's part of what a queue allows, and what it has used of it.
type lease struct {
	number    int64
	grant     queue.Grant
	unlimited bool

	// sent is when the request went out that brought the grant: the lease ends
	// TTL after that. renewed is when its answer came.
	sent, renewed time.Time

	requests, tokens int64 // spent since the lease began
	used             int64 // tokens of answers since the last request
	need             int64 // tokens that the next call needs and are not there
	next             time.Time
	passes           map[*held]struct{}
	// yields says that the next call of a sequential queue is another worker's.
	yields  bool
	trouble string // why there is no lease
	told    queue.Counts
	load    int64 // calls in flight and waiting that were told of last
	// gave says that the last grant brought more of a budget.
	gave bool
}

// Margins before the end of a lease: when no more calls are begun, and when those
// in flight are cut off.
const (
	stopMargin  = 500 * time.Millisecond
	abortMargin = 250 * time.Millisecond
)

// pacing is how much of its rate a process may spend at once.
const pacing = 100 * time.Millisecond

// open makes a lease that allows everything and never ends.
func (ls *lease) open() {
	ls.unlimited = true
	ls.grant = queue.Grant{Permits: queue.NoLimit, Requests: queue.NoLimit, Tokens: queue.NoLimit}
}

// admits reports why no call may start, "" if one may, and how long it takes at
// least until one may: never if that takes another grant or the end of a call.
func (ls *lease) admits(now time.Time, inFlight int64) (batch.Reason, time.Duration) {
	g := &ls.grant
	switch {
	case ls.unlimited:
		return "", 0
	case ls.number == 0, ls.over(now, stopMargin):
		return batch.QueueUnavailable, never
	case g.Settings.Paused:
		return batch.Paused, never
	case g.Permits != queue.NoLimit && inFlight >= g.Permits:
		return batch.ConcurrencyLimit, never
	case g.Requests != queue.NoLimit && ls.requests >= g.Requests:
		return batch.RequestLimit, never
	case ls.next.After(now):
		return ls.paced(), ls.next.Sub(now)
	}
	return "", 0
}

// paced says which rate calls keep to.
func (ls *lease) paced() batch.Reason {
	if ls.grant.Requests != queue.NoLimit {
		return batch.RequestLimit
	}
	return batch.TokenLimit
}

// affords is how long a call that costs so many tokens has to wait, 0 or never.
func (ls *lease) affords(cost int64) time.Duration {
	if ls.unlimited || ls.grant.Tokens == queue.NoLimit {
		return 0
	}
	cost = min(cost, ls.grant.Settings.TPM)
	if ls.tokens+cost > ls.grant.Tokens {
		ls.need = cost
		return never
	}
	ls.need = 0
	return 0
}

// spend books a call that starts.
func (ls *lease) spend(tokens int64) {
	ls.requests++
	ls.tokens += tokens
	if ls.unlimited {
		return
	}
	now := time.Now()
	pause := interval(1, ls.grant.RequestRate)
	pause = max(pause, interval(tokens, ls.grant.TokenRate))
	if pause > 0 {
		if earliest := now.Add(-pacing); ls.next.Before(earliest) {
			ls.next = earliest
		}
		ls.next = ls.next.Add(pause)
	}
}

// interval is the time in which a rate brings so many units, 0 without a rate.
func interval(units, perMinute int64) time.Duration {
	if perMinute == 0 {
		return 0
	}
	return time.Duration(float64(units) / float64(perMinute) * float64(time.Minute))
}

// hold returns what takes a pass back when the lease ends.
func (ls *lease) hold() *held {
	h := &held{}
	if ls.passes == nil {
		ls.passes = map[*held]struct{}{}
	}
	ls.passes[h] = struct{}{}
	return h
}

// release books a call that has ended and has cost so many tokens.
func (ls *lease) release(p *Pass, tokens int64) {
	ls.used += tokens
	if p.held != nil {
		delete(ls.passes, p.held)
	}
	if p.generation == ls.number {
		ls.tokens += tokens - p.reserved
	}
}

// over reports whether the lease ends within a margin. A process that was asleep
// may find that only one of its clocks has gone on.
func (ls *lease) over(now time.Time, margin time.Duration) bool {
	if ls.unlimited || ls.number == 0 {
		return false
	}
	ttl := millis(ls.grant.TTL) - margin
	return now.Sub(ls.sent) >= ttl || now.Round(0).Sub(ls.sent.Round(0)) >= ttl
}

// end gives the lease up: calls in flight are cut off.
func (ls *lease) end() {
	for h := range ls.passes {
		h.lose()
	}
	*ls = lease{used: ls.used, trouble: ls.trouble}
}

// apply takes a grant in answer to a request that was sent at a time.
func (ls *lease) apply(sent, now time.Time, g queue.Grant) {
	ls.gave = g.Requests > ls.grant.Requests || g.Tokens > ls.grant.Tokens
	if g.Lease != ls.number {
		ls.number, ls.requests, ls.tokens, ls.gave = g.Lease, 0, 0, true
	}
	if rateOf(&g) != rateOf(&ls.grant) {
		ls.next = time.Time{}
	}
	ls.grant, ls.sent, ls.renewed, ls.trouble, ls.yields = g, sent, now, "", false
	ls.unlimited = !g.Settings.Limited()
}

func rateOf(g *queue.Grant) [2]int64 { return [2]int64{g.Settings.RPM, g.Settings.TPM} }
