package queue

import (
	"cmp"
	"slices"
)

// starvedAfter is how long, in ms, a call waits in a worker that has none in
// flight before it counts as one that goes first.
const starvedAfter = 20_000

// permit decides how many permits a worker has until it asks again.
func (a *Allocator) permit(l *Lease, g *Grant) {
	targets := a.targets()
	target := targets[slices.IndexFunc(a.Leases, func(o Lease) bool { return o.Number == l.Number })]
	l.Granted = target
	if target < plenty {
		l.Granted = min(target, l.Charged+max(a.free(), 0), a.room(l))
	}
	l.Revision = a.Revision
	l.Charged = max(l.Charged, l.Granted)
	g.Permits = l.Granted
	if g.Permits >= plenty {
		g.Permits = NoLimit
	}
	g.Confirm = l.Charged > l.Granted && a.unmet(targets) > 0
	if a.Settings.Sequential() {
		if next := a.next(l.Number); next != nil {
			g.Before, g.BeforeOrder, g.BeforeClass = next.First, next.FirstOrder, next.FirstClass
		}
	}
	l.Before, l.BeforeOrder, l.BeforeClass = g.Before, g.BeforeOrder, g.BeforeClass
}

// limit is the number of permits that there are.
func (a *Allocator) limit() int64 {
	switch {
	case a.Settings.Paused:
		return 0
	case a.Settings.Concurrency == 0:
		return plenty
	default:
		return a.Settings.Concurrency
	}
}

// free is the number of permits that nobody may believe to have. It is negative
// after the limit was made smaller.
func (a *Allocator) free() int64 {
	free := a.limit()
	for _, l := range a.Leases {
		free -= l.Charged
	}
	return free
}

// room is what a limit that was changed leaves to a lease beside those that know of
// the change. Until the others do, more may be in flight than there is room for.
func (a *Allocator) room(l *Lease) int64 {
	room := a.limit()
	for _, o := range a.Leases {
		if o.Number != l.Number && o.Revision == a.Revision {
			room -= o.Granted
		}
	}
	return max(room, 0)
}

// targets are the permits that each lease should have: its fair part, and an even
// part of what nobody needs, so that the next call need not ask.
func (a *Allocator) targets() []int64 {
	targets := make([]int64, len(a.Leases))
	limit := a.limit()
	switch {
	case limit >= plenty:
		for i := range targets {
			targets[i] = plenty
		}
		return targets
	case a.Settings.Sequential():
		if next := a.next(0); next != nil {
			targets[slices.IndexFunc(a.Leases, func(o Lease) bool { return o.Number == next.Number })] = limit
			return targets
		}
	}
	first, second := make([]int64, len(a.Leases)), make([]int64, len(a.Leases))
	for i, l := range a.Leases {
		need := l.InFlight.Plus(l.Waiting)
		first[i], second[i] = need.Interactive, need.Batch
		if l.starves() && second[i] > 0 {
			first[i]++
			second[i]--
		}
	}
	limit = a.deal(limit, first, targets)
	limit = a.deal(limit, second, targets)
	for i := range targets {
		spare := limit / int64(len(targets)-i)
		targets[i] += spare
		limit -= spare
	}
	return targets
}

func (l *Lease) starves() bool { return l.Oldest > starvedAfter && l.InFlight.All() == 0 }

// deal adds to the targets what each lease needs, or by weight its part of the
// limit where that is not enough, the odd ones to those who wait longest. It
// returns what is left.
func (a *Allocator) deal(limit int64, needs, targets []int64) int64 {
	for limit > 0 {
		var weights int64
		for i, need := range needs {
			if need > 0 {
				weights += max(a.Leases[i].Weight, 1)
			}
		}
		if weights == 0 {
			return limit
		}
		given := int64(0)
		for i, need := range needs {
			part := min(need, limit*max(a.Leases[i].Weight, 1)/weights)
			targets[i], needs[i], given = targets[i]+part, need-part, given+part
		}
		limit -= given
		if given > 0 {
			continue
		}
		for _, i := range a.byWait() {
			if limit > 0 && needs[i] > 0 {
				targets[i], needs[i], limit = targets[i]+1, needs[i]-1, limit-1
			}
		}
	}
	return limit
}

// byWait are the indexes of the leases, those whose calls have waited longest
// first; at first, when nothing has waited, those that were opened first.
func (a *Allocator) byWait() []int {
	order := make([]int, len(a.Leases))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(a.Leases[y].Oldest, a.Leases[x].Oldest) })
	return order
}

// turn is that of the worker's next call.
func (l *Lease) turn() Turn { return Turn{Class: l.FirstClass, Accepted: l.First, Order: l.FirstOrder} }

// next is the lease other than one whose call is the next of a sequential queue,
// nil if none waits elsewhere.
func (a *Allocator) next(except int64) *Lease {
	var next *Lease
	for i := range a.Leases {
		l := &a.Leases[i]
		if l.Number == except || l.Waiting.All() == 0 {
			continue
		}
		if next == nil || l.turn().Compare(next.turn()) < 0 {
			next = l
		}
	}
	return next
}

// overtakes reports whether a worker of a sequential queue goes on with calls that
// are after another's, since it has not heard of that one. Its own next call is not
// known: it may have made the one that it told of.
func (a *Allocator) overtakes(l *Lease) bool {
	if !a.Settings.Sequential() || l.Granted == 0 {
		return false
	}
	next := a.next(l.Number)
	told := Turn{Class: l.BeforeClass, Accepted: l.Before, Order: l.BeforeOrder}
	return next != nil && (l.Before == 0 || next.turn().Compare(told) < 0)
}

// unmet is the number of permits that leases should have and do not.
func (a *Allocator) unmet(targets []int64) int64 {
	var unmet int64
	for i, l := range a.Leases {
		if l.Waiting.All() > 0 {
			unmet += max(min(targets[i], l.InFlight.All()+l.Waiting.All())-l.Granted, 0)
		}
	}
	return unmet
}

// nudgeOthers nudges the workers other than one that have to give permits up, or
// can have more.
func (a *Allocator) nudgeOthers(except int64) {
	if len(a.Leases) == 0 || a.limit() >= plenty {
		return
	}
	targets, free := a.targets(), a.free()
	unmet := a.unmet(targets)
	for i := range a.Leases {
		l := &a.Leases[i]
		if l.Number == except {
			continue
		}
		gives := targets[i] < l.Granted && unmet > max(free, 0)
		takes := free > 0 && l.Waiting.All() > 0 && targets[i] > l.Granted && l.Granted < l.InFlight.All()+l.Waiting.All()
		if gives || takes || a.overtakes(l) {
			a.nudge(l)
		}
	}
}

// nudge has a worker ask again, unless it was told so already.
func (a *Allocator) nudge(l *Lease) {
	if !l.Nudged {
		l.Nudged = true
		a.Nudges = append(a.Nudges, l.Worker)
	}
}

// TakeNudges returns the workers that should ask again.
func (a *Allocator) TakeNudges() []string {
	nudges := a.Nudges
	a.Nudges = nil
	return nudges
}
