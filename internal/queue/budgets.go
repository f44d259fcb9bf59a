package queue

import "slices"

// Of budgets.
const (
	// horizon is for how long, in ms, a budget should last: until it is renewed,
	// and half as long against chance.
	horizon = 3 * budgetRenewal / 2
	// haste is how much faster than their part of the rate, in percent, workers may
	// spend, to make up for time that was lost.
	haste = 125
)

// fund tops up the budgets of a lease.
func (a *Allocator) fund(l *Lease, g *Grant) {
	g.Requests, g.Tokens = NoLimit, NoLimit
	if a.Settings.RPM > 0 {
		g.Requests, g.RequestRate = a.topUp(l, g, &a.Requests, &l.Requests, a.Settings.RPM, 1)
	}
	if a.Settings.TPM > 0 {
		g.Tokens, g.TokenRate = a.topUp(l, g, &a.Tokens, &l.Tokens, a.Settings.TPM, max(min(l.Need, a.Settings.TPM), 1))
	}
}

// topUp gives a lease so much of an account that its budget lasts, and is at least
// what its next call needs. It returns the whole budget and the rate to keep to.
func (a *Allocator) topUp(l *Lease, g *Grant, account *Account, b *Budget, rate, need int64) (budget, part int64) {
	sharers := a.sharers(l.Number)
	n := int64(len(sharers))
	rate = rate * a.Share / whole
	part = max(rate*haste/100/n, 1)
	if l.Waiting.All()+l.InFlight.All() == 0 || a.Settings.Paused {
		return b.Granted, part
	}
	want := max(part*horizon/minute, need) - b.left()
	have := account.units()
	if have < n*need { // not enough for all: those who wait longest are first
		have -= need * int64(slices.Index(sharers, l.Number))
	} else if have < n*want {
		have = (have + n - 1) / n
	}
	if give := min(want, have); give > 0 {
		account.take(give)
		b.Granted += give
	}
	if missing := need - b.left(); missing > 0 { // come when it should be there
		place := int64(slices.Index(sharers, l.Number)) + 1
		g.RenewAfter = max(g.RenewAfter, (missing*place*quantum-account.Level)/max(rate*whole, 1))
	}
	return b.Granted, part
}

// sharers are the numbers of the leases that have something to spend a budget on,
// and one more, those whose calls have waited longest first.
func (a *Allocator) sharers(also int64) []int64 {
	var numbers []int64
	for _, i := range a.byWait() {
		if l := a.Leases[i]; l.Number == also || l.Waiting.All() > 0 {
			numbers = append(numbers, l.Number)
		}
	}
	return numbers
}

// Of the part of a rate that is used: it shrinks when a provider throttles calls
// that keep to it, since somebody else has the rest, and grows by and by.
const (
	cutTo      = 800    // thousandths of the share, at each cut
	cutEvery   = 5000   // ms: one cool-down is one cut
	leastShare = 20     // thousandths
	growth     = 10     // thousandths a second
	second     = 1000   // ms
	growAfter  = second // after a cut
)

// close books what providers have asked for.
func (a *Allocator) close(r Request) {
	for _, c := range r.Closings {
		closed := Closed{Provider: c.Provider, Message: c.Message, Since: a.Now - c.Age, Until: a.Now + c.For}
		i := slices.IndexFunc(a.Closed, func(o Closed) bool { return o.Provider == c.Provider })
		switch {
		case i < 0:
			a.Closed = append(a.Closed, closed)
		case closed.Until > a.Closed[i].Until:
			a.Closed[i].Until = closed.Until
		}
		if (a.Settings.RPM > 0 || a.Settings.TPM > 0) && a.Now-a.Cut >= cutEvery {
			a.Share, a.Cut, a.ShareAt = max(a.Share*cutTo/whole, leastShare), a.Now, a.Now+growAfter
		}
		for i := range a.Leases {
			if a.Leases[i].Worker != r.Worker {
				a.nudge(&a.Leases[i])
			}
		}
	}
}

// regain makes the share larger as time goes by without a cut.
func (a *Allocator) regain() {
	if gained := (a.Now - a.ShareAt) * growth / second; gained > 0 {
		a.Share = min(a.Share+gained, whole)
		a.ShareAt += gained * second / growth
	}
}
