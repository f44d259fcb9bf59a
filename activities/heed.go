package activities

import (
	"context"
	"time"

	"github.com/headrace/headrace/internal/ledger"
)

// ask speaks to the ledger, one request at a time, and does as it says.
func (l *lane) ask(ctx context.Context, r ledger.Request) (ledger.Grant, error) {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return ledger.Grant{}, ctx.Err()
	}
	r.Host = l.a.Host
	r.Most, r.Rest = l.load()
	grant, err := l.ledger.ask(ctx, r)
	if err != nil {
		return grant, err
	}
	l.reported.Store(int64(r.Most))
	if grant.Settings != nil && !r.Leaving {
		l.apply(*grant.Settings)
		select {
		case l.told <- struct{}{}:
		default: // it will look anyway
		}
	}
	if grant.Stop != ledger.Go {
		l.engine.Drain() // watch hears of it too, and cuts calls off if need be
	}
	return grant, nil
}

// apply lets settings hold from now on.
func (l *lane) apply(s ledger.Settings) {
	old := l.settings.Swap(&s)
	l.engine.SetHands(s.Hands)
	if s.Queue != old.Queue {
		l.places.forget()
	}
	if s.Queue != old.Queue || s.Priority != old.Priority {
		l.engine.Reenter() // who waits in another line would wait there for good
	}
}

// load is the most calls that can be in flight until more hands are given and, for
// a lane that will lease no more, how many requests it still has.
func (l *lane) load() (most, rest int) {
	if l.isNew() {
		return 0, 0
	}
	draining := l.draining.Load() // before the count, which can only fall then
	stats := l.engine.Stats()
	most = max(stats.Busy, l.engine.Hands())
	if draining {
		most = stats.Busy
	}
	if l.ended.Load() {
		rest = max(stats.Open, 1)
		most = min(most, rest)
	}
	return most, rest
}

// isNew reports whether the lane has heard nothing yet from the ledger.
func (l *lane) isNew() bool {
	select {
	case <-l.begun:
		return false
	default:
		return true
	}
}

// confirmEvery is the time between two looks at how many calls are in flight,
// while somebody waits for hands that this lane has given up.
const confirmEvery = 100 * time.Millisecond

// heed asks the ledger when it has something new to say, and tells it when hands
// have become free for which others wait.
func (l *lane) heed(ctx context.Context, nudges <-chan struct{}) {
	select {
	case <-l.begun: // until then no chunk is held, and the first answer tells all
	case <-ctx.Done():
		return
	}
	for {
		var look <-chan time.Time
		if l.settings.Load().Confirm {
			look = time.After(confirmEvery)
		}
		select {
		case <-ctx.Done():
			return
		case <-l.told:
			continue
		case <-look:
			if !l.fewer() {
				continue
			}
		case <-nudges:
		}
		if _, err := l.ask(ctx, ledger.Request{}); err != nil {
			return // whoever leases next finds out why
		}
	}
}

// fewer reports whether it is worth telling how many calls are in flight: when all
// beyond the hands have ended, and whenever a quarter of those have that were told
// of last; an eighth if all hands are for others.
func (l *lane) fewer() bool {
	most, _ := l.load()
	reported, parts := int(l.reported.Load()), 4
	if l.draining.Load() {
		parts = 8
	}
	return most < reported && (parts*most <= (parts-1)*reported || most <= l.engine.Hands())
}

// handBackAfter is how long a worker that stops takes to tell Temporal so.
const handBackAfter = 100 * time.Millisecond

// handBack gives back what the lane has not begun. From then on it tells the ledger
// of calls that end, so that others may begin as many.
func (l *lane) handBack(ctx context.Context) {
	untouched, err := l.engine.Withdraw(ctx)
	if err != nil || l.isNew() {
		return
	}
	l.draining.Store(true)
	// A decision that Temporal gives to this worker, in the moment in which it stops
	// to ask for some, waits a second for another one.
	select {
	case <-time.After(handBackAfter):
	case <-ctx.Done():
		return
	}
	commits := l.recorder.Commits()
	grant, err := l.ask(ctx, ledger.Request{Draining: true, Commits: commits, Keep: l.recorder.Begun(untouched)})
	if err == nil && grant.Draining {
		l.handed.Store(true)
	}
}
