package limit

import (
	"context"
	"slices"
	"time"

	"github.com/headrace/headrace/internal/queue"
)

// Times of asking for leases.
const (
	// askTimeout bounds one request.
	askTimeout = 5 * time.Second
	// spacing is the least time between two requests that no nudge has asked for,
	// budgetSpacing between two for budgets alone.
	spacing       = 25 * time.Millisecond
	budgetSpacing = 500 * time.Millisecond
	// drainSpacing is that between two by which a process that ends tells of calls
	// that have ended.
	drainSpacing = 100 * time.Millisecond
	// failPause is the time after a request that failed.
	failPause = 200 * time.Millisecond
	// A lease that is not used goes back after a while, soon if others could use
	// what it holds.
	idleAfter          = 2 * time.Second
	idleAfterUnlimited = time.Minute
	// leaveTimeout bounds how long a process that ends takes to give a lease back.
	leaveTimeout = time.Second
	// nothingDue is longer than anything that is due.
	nothingDue = time.Hour
)

// closing is what a provider asked for. It may be long before that can be said.
type closing struct {
	provider, message string
	since, until      time.Time
}

// report notes what a provider asked for, so that others hear of it.
func (l *line) report(c closing) {
	if l.kept {
		l.closings = append(l.closings, c)
	}
}

// prune lets go of closings that are over before anybody could be told.
func (l *line) prune(now time.Time) {
	l.closings = slices.DeleteFunc(l.closings, func(c closing) bool { return !now.Before(c.until) })
}

// reports are the closings in the words of requests.
func (l *line) reports(now time.Time) []queue.Closing {
	var reports []queue.Closing
	for _, c := range l.closings {
		reports = append(reports, queue.Closing{
			Provider: c.provider, Message: c.message, For: c.until.Sub(now).Milliseconds(), Age: now.Sub(c.since).Milliseconds(),
		})
	}
	return reports
}

// maybeAsk wakes whoever asks for leases if there is something to ask for.
func (l *line) maybeAsk() {
	if !l.kept || l.urgent() == 0 {
		return
	}
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// urgent is how soon after the last answer the line has to ask again, 0 if it need
// not before it is time to renew.
func (l *line) urgent() time.Duration {
	ls, g := &l.lease, &l.lease.grant
	waiting, inFlight := l.waiting.All(), l.inFlight.All()
	switch {
	case ls.number == 0 && waiting > 0, len(l.closings) > 0:
		return spacing
	case ls.number == 0 || ls.unlimited:
		return 0
	case l.gate.draining && l.load() < ls.load:
		return drainSpacing
	case g.Confirm && inFlight <= g.Permits, ls.yields && inFlight == 0:
		return spacing
	case waiting == 0 || g.Settings.Paused:
		return 0
	case ls.told.Interactive == 0 && l.waiting.Interactive > 0 && inFlight >= g.Permits && g.Permits != queue.NoLimit:
		return spacing
	case g.Permits != queue.NoLimit && inFlight >= g.Permits && waiting > ls.told.All() && inFlight < g.Settings.Concurrency:
		return 2 * spacing
	case ls.gave && ls.low():
		return budgetSpacing
	}
	return 0
}

// load is the number of calls that are in flight or wait.
func (l *line) load() int64 { return l.inFlight.All() + l.waiting.All() }

// low reports whether a budget is nearly used up.
func (ls *lease) low() bool {
	g := &ls.grant
	soon := budgetSpacing.Milliseconds()
	return ls.need > 0 ||
		g.Requests != queue.NoLimit && g.Requests-ls.requests <= g.RequestRate*soon/minute ||
		g.Tokens != queue.NoLimit && g.Tokens-ls.tokens <= g.TokenRate*soon/minute
}

// minute is one in milliseconds.
const minute = 60_000

// keep leases what the queue allows for as long as there is use for it.
func (l *line) keep() {
	g := l.gate
	nudges, stop := g.o.Leaser.Nudges(l.name)
	defer stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	ask := true // at first, and whenever somebody says so, until an answer has come
	for {
		select {
		case <-g.ctx.Done():
			l.leave()
			return
		case <-nudges:
			ask = true
		case <-l.kick:
		case <-timer.C:
		}
		wait, ok := l.step(&ask)
		if !ok {
			return
		}
		timer.Reset(wait)
	}
}

// step does what is due, and returns when something is due again. If ask is set it
// asks in any case, and unsets it when the answer is there. It returns false when the
// lease is given back and nobody waits.
func (l *line) step(ask *bool) (time.Duration, bool) {
	g := l.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	l.prune(now)
	if l.lease.over(now, abortMargin) {
		l.lease.end()
		l.pump()
	}
	if left, idle := l.idle(now); idle && left == 0 && len(l.closings) == 0 {
		return l.giveBack()
	}
	if l.lease.number == 0 && l.had && l.waiting.All() == 0 && len(l.closings) == 0 {
		l.forsake()
		return 0, false
	}
	due := l.due(now)
	if !*ask && due > 0 {
		return due, true
	}
	if !l.ask() {
		return failPause, true
	}
	*ask = false
	return max(l.due(time.Now()), spacing), true
}

// idle reports whether there is a lease that no call uses, and for how long it is
// kept still.
func (l *line) idle(now time.Time) (left time.Duration, idle bool) {
	if l.waiting.All() > 0 || l.inFlight.All() > 0 || l.lease.number == 0 {
		return 0, false
	}
	after := idleAfter
	if l.lease.unlimited {
		after = idleAfterUnlimited
	}
	if l.gate.draining {
		after = 0
	}
	return max(l.idleSince.Add(after).Sub(now), 0), true
}

// due is how long until the line should ask, or look again.
func (l *line) due(now time.Time) time.Duration {
	ls := &l.lease
	due := nothingDue
	if ls.number == 0 {
		if l.waiting.All() > 0 || ls.renewed.IsZero() {
			due = 0
		}
		return due
	}
	due = ls.renewed.Add(millis(ls.grant.RenewAfter)).Sub(now)
	if soon := l.urgent(); soon > 0 {
		due = min(due, ls.renewed.Add(soon).Sub(now))
	}
	if !ls.unlimited {
		end := ls.sent.Add(millis(ls.grant.TTL) - abortMargin)
		due = min(due, max(end.Sub(now), time.Millisecond))
	}
	if left, idle := l.idle(now); idle {
		due = min(due, max(left, time.Millisecond))
	}
	return max(due, 0)
}

// ask says how the line stands and takes what it may have. The lock is open while
// the answer is on its way.
func (l *line) ask() bool {
	g := l.gate
	r := l.request()
	closings, used := l.closings, l.lease.used
	l.closings, l.lease.used = nil, 0
	timeout := askTimeout
	if !l.lease.unlimited && l.lease.number != 0 { // be back when the lease ends
		timeout = min(timeout, time.Until(l.lease.sent)+millis(l.lease.grant.TTL)-abortMargin)
	}
	sent := time.Now()
	g.mu.Unlock()
	ctx, cancel := context.WithTimeout(g.ctx, max(timeout, time.Millisecond))
	grant, err := g.o.Leaser.Lease(ctx, l.name, r)
	cancel()
	g.mu.Lock()
	if err != nil {
		l.closings, l.lease.used = append(closings, l.closings...), l.lease.used+used
		l.lease.trouble = err.Error()
		return false
	}
	l.take(sent, grant, r)
	return true
}

// take applies an answer.
func (l *line) take(sent time.Time, grant queue.Grant, r queue.Request) {
	now := time.Now()
	l.settings = grant.Settings
	l.lease.apply(sent, now, grant)
	l.lease.told, l.had = r.Waiting, true
	l.lease.load = r.Waiting.All() + r.InFlight.All()
	for _, c := range grant.Closings {
		u := l.upstream(c.Provider)
		u.closedElsewhere(now, millis(c.Age), millis(c.For)-now.Sub(sent), c.Message, l.paced())
		l.notice(c.Provider, u)
	}
	l.pump()
}

func millis(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

// request is how the line stands.
func (l *line) request() queue.Request {
	ls, now := &l.lease, time.Now()
	l.prune(now)
	r := queue.Request{
		Worker: l.gate.o.Worker, Label: l.gate.o.Label, Lease: ls.number, Grant: ls.grant.Number,
		InFlight: l.inFlight, Waiting: l.waiting, Oldest: l.oldest(now).Milliseconds(), Weight: l.weight(),
		Requests: ls.requests, Tokens: ls.tokens, Need: ls.need, Used: ls.used, Closings: l.reports(now),
	}
	if first := l.first(); first != nil {
		turn := first.turn()
		r.First, r.FirstOrder, r.FirstClass = turn.Accepted, turn.Order, turn.Class
	}
	return r
}

// giveBack ends an unused lease. Calls that come meanwhile wait for the next one.
// It returns false when none has.
func (l *line) giveBack() (time.Duration, bool) {
	g := l.gate
	r := l.request()
	r.Leaving = true
	l.lease = lease{}
	g.mu.Unlock()
	ctx, cancel := context.WithTimeout(g.ctx, askTimeout)
	_, _ = g.o.Leaser.Lease(ctx, l.name, r) // if it does not arrive, the lease ends by itself
	cancel()
	g.mu.Lock()
	if l.waiting.All() > 0 {
		return 0, true
	}
	l.forsake()
	return 0, false
}

// forsake lets go of a line that nobody uses: there may be any number of queues. One
// that knows something of a provider stays.
func (l *line) forsake() {
	l.kept = false
	if l.inFlight.All() > 0 {
		return
	}
	now := time.Now()
	for _, u := range l.ups {
		if u.inFlight > 0 || u.window > 0 || u.state(now).Closed() {
			return
		}
	}
	delete(l.gate.lines, l.name)
}

// leave gives the lease back because the process ends.
func (l *line) leave() {
	g := l.gate
	g.mu.Lock()
	r := l.request()
	r.Leaving = true
	held := l.lease.number != 0 && l.inFlight.All() == 0
	l.lease.end()
	g.mu.Unlock()
	if !held {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(g.ctx), leaveTimeout)
	defer cancel()
	_, _ = g.o.Leaser.Lease(ctx, l.name, r) // if it does not arrive, the lease ends by itself
}
