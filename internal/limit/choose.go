package limit

import (
	"cmp"
	"container/heap"
	"math"
	"time"

	"github.com/headrace/headrace/internal/queue"
)

// flowKey names calls that are served in order, one after another or at once.
type flowKey struct {
	flow, project, provider string
	priority                int
}

// flow is calls of one run that wait. Whoever was served least comes first, so
// that a run of ten calls is not held up by one of a hundred thousand.
type flow struct {
	key     flowKey
	waiters waiters
	served  usage
	// since is when it was served last, or began to wait.
	since time.Time
}

// usage counts what was let in lately: what is older counts for less and less.
type usage struct {
	amount float64
	at     time.Time
}

// usageHalf is the time after which usage counts for half.
const usageHalf = 10 * time.Second

func (u *usage) now(now time.Time) float64 {
	if u.amount == 0 {
		return 0
	}
	return u.amount * math.Exp2(-now.Sub(u.at).Seconds()/usageHalf.Seconds())
}

func (u *usage) add(now time.Time) { u.amount, u.at = u.now(now)+1, now }

// Nothing waits forever: every starvedTurn'th call that is let in is of the flow
// that was served longest ago, if that is longer than starvedAfter.
const (
	starvedAfter = 20 * time.Second
	starvedTurn  = 4
)

// flowOf is the flow that a call belongs to.
func (l *line) flowOf(t *Ticket, now time.Time) *flow {
	key := flowKey{flow: t.Flow, project: t.Project, provider: t.Provider, priority: t.Priority}
	f := l.flows[key]
	if f == nil {
		f = &flow{key: key, since: now}
		l.flows[key] = f
		l.forget(now)
	}
	if len(f.waiters) == 0 {
		f.since = now
	}
	if l.projects[t.Project] == nil {
		l.projects[t.Project] = &usage{}
	}
	return f
}

// mostFlows is how many flows are remembered before those that are over are not.
const mostFlows = 256

// forget lets go of flows that nobody waits in.
func (l *line) forget(now time.Time) {
	if len(l.flows) < mostFlows {
		return
	}
	for key, f := range l.flows {
		if len(f.waiters) == 0 && now.Sub(f.since) > usageHalf {
			delete(l.flows, key)
		}
	}
}

func (f *flow) push(w *waiter) {
	w.flow = f
	heap.Push(&f.waiters, w)
}

func (f *flow) serve(now time.Time) {
	f.served.add(now)
	f.since = now
}

func (f *flow) idle(now time.Time) { f.since = now }

// choose returns the call that is to be let in next, or nil and how long to wait
// before one can be: never if something else has to happen.
func (l *line) choose(now time.Time) (*waiter, time.Duration) {
	wait := never
	var best, starved *flow
	for _, f := range l.flows {
		if len(f.waiters) == 0 {
			continue
		}
		if closed := l.closed(f, now); closed != 0 {
			if closed != never && (wait == never || closed < wait) {
				wait = closed
			}
			continue
		}
		if best == nil || l.before(f, best, now) {
			best = f
		}
		if now.Sub(f.since) > starvedAfter && (starved == nil || f.since.Before(starved.since)) {
			starved = f
		}
	}
	if best == nil {
		return nil, wait
	}
	if starved != nil && l.turns%starvedTurn == 0 && !l.settings.Sequential() {
		best = starved
	}
	if l.settings.Sequential() {
		if wait := l.inTurn(best.waiters[0], now); wait != 0 {
			return nil, wait
		}
	}
	if first := best.waiters[0]; first.up != nil && first.up.hold != nil {
		return l.probe(first.up), 0
	}
	return best.waiters[0], 0
}

// closed is how long the first call of a flow cannot be let in, 0 if it can.
func (l *line) closed(f *flow, now time.Time) time.Duration {
	w := f.waiters[0]
	if w.t.Bounded && l.gate.room <= 0 {
		return never
	}
	if w.up == nil {
		return 0
	}
	return w.up.wait(now)
}

// before reports whether a is served before b.
func (l *line) before(a, b *flow, now time.Time) bool {
	x, y := a.waiters[0], b.waiters[0]
	if l.settings.Sequential() {
		return sequence(x, y) < 0
	}
	return cmp.Or(
		cmp.Compare(b.key.priority, a.key.priority),
		cmp.Compare(l.share(a, now), l.share(b, now)),
		cmp.Compare(a.served.now(now), b.served.now(now)),
		cmp.Compare(x.t.Accepted, y.t.Accepted),
		older(a.key.flow, b.key.flow),
	) < 0
}

// share is what a flow's project was served lately, by its weight.
func (l *line) share(f *flow, now time.Time) float64 {
	return l.projects[f.key.project].now(now) / float64(l.settings.Weight(f.key.project))
}

// older is less than zero if the first of two runs is the older one: names of runs
// sort newest first.
func older(x, y string) int { return cmp.Compare(y, x) }

// sequence is the order of calls in a sequential queue.
func sequence(x, y *waiter) int {
	return cmp.Or(
		cmp.Compare(queue.ClassOf(x.t.Priority), queue.ClassOf(y.t.Priority)),
		cmp.Compare(x.t.Accepted, y.t.Accepted), older(x.t.Flow, y.t.Flow), cmp.Compare(x.t.Order, y.t.Order),
	)
}

// turn is the call's place among those of other workers.
func (w *waiter) turn() queue.Turn {
	return queue.Turn{Class: queue.ClassOf(w.t.Priority), Accepted: w.t.Accepted, Order: w.t.Order}
}

// settleTime is how long a call of a sequential queue waits at least, so that one
// which was accepted just before it, and goes another way, can still go first.
const settleTime = 100 * time.Millisecond

// inTurn is how long the first call of a sequential queue has to wait.
func (l *line) inTurn(w *waiter, now time.Time) time.Duration {
	if early := settleTime - now.Sub(w.joined); early > 0 && now.UnixMilli()-w.t.Accepted < settleTime.Milliseconds() {
		return early
	}
	g := &l.lease.grant
	before := queue.Turn{Class: g.BeforeClass, Accepted: g.Before, Order: g.BeforeOrder}
	if g.Before > 0 && before.Compare(w.turn()) < 0 {
		l.lease.yields = true // somebody else's turn: ask, and give the permit up
		return never
	}
	return 0
}

// first is the call that is next in order, nil if none waits.
func (l *line) first() *waiter {
	var first *waiter
	for _, f := range l.flows {
		if len(f.waiters) > 0 && (first == nil || sequence(f.waiters[0], first) < 0) {
			first = f.waiters[0]
		}
	}
	return first
}

// oldest is when the call joined that has waited longest among the first of flows.
func (l *line) oldest(now time.Time) time.Duration {
	var oldest time.Duration
	for _, f := range l.flows {
		if len(f.waiters) > 0 {
			oldest = max(oldest, now.Sub(f.since))
		}
	}
	return oldest
}

// weight sums the weights of the projects whose calls wait.
func (l *line) weight() int64 {
	var weight int64
	seen := map[string]bool{}
	for _, f := range l.flows {
		if len(f.waiters) > 0 && !seen[f.key.project] {
			seen[f.key.project] = true
			weight += l.settings.Weight(f.key.project)
		}
	}
	return weight
}

// position is the place of a call in the line, 0 if it is not in it.
func (l *line) position(t *Ticket) int64 {
	now := time.Now()
	own := l.flows[flowKey{flow: t.Flow, project: t.Project, provider: t.Provider, priority: t.Priority}]
	if own == nil || len(own.waiters) == 0 {
		return 0
	}
	at, found := int64(1), false
	for _, w := range own.waiters {
		switch c := cmp.Or(cmp.Compare(w.t.Accepted, t.Accepted), cmp.Compare(w.t.Order, t.Order)); {
		case c < 0:
			at++
		case c == 0:
			found = true
		}
	}
	if !found {
		return 0
	}
	for _, f := range l.flows {
		if f != own && len(f.waiters) > 0 && l.before(f, own, now) {
			at += int64(len(f.waiters))
		}
	}
	return at
}

// waiters implements heap.Interface: the calls of a flow, in the order in which
// they were accepted.
type waiters []*waiter

func (w waiters) Len() int { return len(w) }

func (w waiters) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(w[i].t.Accepted, w[j].t.Accepted), cmp.Compare(w[i].t.Order, w[j].t.Order)) < 0
}

func (w waiters) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].index, w[j].index = i, j
}

// Push implements heap.Interface.
func (w *waiters) Push(x any) {
	one := x.(*waiter)
	one.index = len(*w)
	*w = append(*w, one)
}

// Pop implements heap.Interface.
func (w *waiters) Pop() any {
	old := *w
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*w = old[:len(old)-1]
	last.index = -1
	return last
}
