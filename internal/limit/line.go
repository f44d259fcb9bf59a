package limit

import (
	"container/heap"
	"context"
	"fmt"
	"time"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/queue"
)

// line is where the calls of one queue wait in this process, with what the queue
// allows them. Whoever uses it holds the gate's lock.
type line struct {
	gate *Gate
	name string
	ups  map[string]*upstream

	flows    map[flowKey]*flow
	turns    int64 // calls that were let in after they had waited
	projects map[string]*usage
	waiting  queue.Counts
	inFlight queue.Counts
	timer    *time.Timer // pumps again

	settings queue.Settings
	lease    lease
	blocked  blocked

	kept      bool // somebody asks for leases
	had       bool // there has been a lease
	kick      chan struct{}
	idleSince time.Time
	closings  []closing // not yet reported
}

// blocked is why nobody is let in although calls wait.
type blocked struct {
	reason batch.Reason
	since  time.Time
}

// longestLine bounds the impatient calls that wait here. Those beyond it come
// again later, with their place kept by the time at which they were accepted.
const (
	longestLine = 16_384
	crowdedFor  = 20 * time.Second
)

// newLine returns a line, open unless its queue's limits are leased.
func newLine(g *Gate, name string) *line {
	l := &line{
		gate: g, name: name, ups: map[string]*upstream{}, flows: map[flowKey]*flow{}, projects: map[string]*usage{},
		kick: make(chan struct{}, 1), idleSince: time.Now(),
	}
	if g.o.Leaser == nil {
		l.lease.open()
	}
	return l
}

// upstream is what is known of a provider, nil for none.
func (l *line) upstream(provider string) *upstream {
	if provider == "" {
		return nil
	}
	u := l.ups[provider]
	if u == nil {
		u = &upstream{}
		l.ups[provider] = u
	}
	return u
}

// enter lets a call in at once if nothing is in its way.
func (l *line) enter(t *Ticket) (Pass, bool) {
	if l.waiting.All() > 0 || !l.lease.unlimited || t.Bounded && l.gate.room == 0 {
		return Pass{}, false
	}
	u := l.upstream(t.Provider)
	if u != nil && (u.hold != nil || u.window > 0 || u.why.Closed()) && u.wait(time.Now()) != 0 {
		return Pass{}, false
	}
	return l.admit(t, u, 0), true
}

// admit books a call as in flight.
func (l *line) admit(t *Ticket, u *upstream, tokens int64) Pass {
	p := Pass{
		line: l, up: u, key: t.key(), class: queue.ClassOf(t.Priority), provider: t.Provider, bounded: t.Bounded,
		model: t.Model, bytes: len(t.Body), reserved: tokens, generation: l.lease.number,
	}
	if u != nil {
		u.enter(p.key)
		l.notice(t.Provider, u)
	}
	if t.Bounded {
		l.gate.room--
	}
	l.inFlight.Add(p.class, 1)
	l.lease.spend(tokens)
	if !l.lease.unlimited {
		p.held = l.lease.hold()
	}
	return p
}

// settle books a call as no longer in flight, and what it cost.
func (l *line) settle(p *Pass, usage openai.Usage) {
	l.inFlight.Add(p.class, -1)
	l.lease.release(p, usage.TotalTokens)
	if l.inFlight.All() == 0 && l.waiting.All() == 0 {
		l.idleSince = time.Now()
	}
}

// paced reports whether rates hold calls back.
func (l *line) paced() bool { return l.settings.RPM > 0 || l.settings.TPM > 0 }

// waiter is a call that waits.
type waiter struct {
	t      Ticket
	line   *line
	flow   *flow
	up     *upstream
	index  int // in its flow, -1 once it has left
	cost   int64
	joined time.Time
	pass   Pass
	ready  chan struct{} // closed when it is let in
}

// join puts a call into the line.
func (l *line) join(t *Ticket) (*waiter, error) {
	u := l.upstream(t.Provider)
	now := time.Now()
	if t.Patience > 0 {
		if u != nil && u.state(now).Until.Sub(now) > t.Patience {
			return nil, &ClosedError{u.state(now)}
		}
		if l.waiting.All() >= longestLine {
			return nil, &ClosedError{l.crowded(now)}
		}
	}
	w := &waiter{t: *t, line: l, up: u, joined: now, ready: make(chan struct{})}
	if l.settings.TPM > 0 {
		w.cost = l.gate.estimate(t)
	}
	l.waiting.Add(queue.ClassOf(t.Priority), 1)
	l.flowOf(t, now).push(w)
	l.pump()
	l.maybeAsk()
	return w, nil
}

// crowded is why an impatient call cannot join.
func (l *line) crowded(now time.Time) State {
	return State{
		Crowded: true, Since: now, Until: now.Add(crowdedFor),
		Message: fmt.Sprintf("More than %d calls wait in the queue %s on one worker. The call comes back by itself and keeps its place.", longestLine, l.name),
	}
}

// wait waits to be let in.
func (w *waiter) wait(ctx context.Context) (Pass, error) {
	var impatience <-chan time.Time
	if w.t.Patience > 0 {
		ticker := time.NewTicker(w.t.Patience)
		defer ticker.Stop()
		impatience = ticker.C
	}
	for {
		select {
		case <-w.ready:
			return w.pass, nil
		case <-ctx.Done():
			return w.giveUp(ctx.Err())
		case <-impatience:
			g := w.line.gate
			if s := g.State(w.t.Queue, w.t.Provider); s.Closed() && time.Since(s.Since) >= w.t.Patience {
				return w.giveUp(&ClosedError{s})
			}
		}
	}
}

// giveUp leaves the line, unless the call was let in just now.
func (w *waiter) giveUp(err error) (Pass, error) {
	g := w.line.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if w.index < 0 {
		return w.pass, nil
	}
	heap.Remove(&w.flow.waiters, w.index)
	w.line.gone(w)
	w.line.pump() // it may have been in the way of others
	return Pass{}, err
}

// gone books a waiter as one that waits no more.
func (l *line) gone(w *waiter) {
	l.waiting.Add(queue.ClassOf(w.t.Priority), -1)
	if len(w.flow.waiters) == 0 {
		w.flow.idle(time.Now())
	}
}

// pump lets in whoever may come in, and sees to it that it is called again when
// time changes that.
func (l *line) pump() {
	for l.waiting.All() > 0 {
		now := time.Now()
		if reason, wait := l.lease.admits(now, l.inFlight.All()); reason != "" {
			l.block(now, reason, wait)
			return
		}
		w, wait := l.choose(now)
		if w == nil {
			l.block(now, "", wait)
			return
		}
		if w.cost == 0 && l.settings.TPM > 0 { // it came before the limit
			w.cost = l.gate.estimate(&w.t)
		}
		if wait := l.lease.affords(w.cost); wait != 0 {
			l.block(now, batch.TokenLimit, wait)
			return
		}
		l.let(w, now)
	}
	l.blocked = blocked{}
}

// let lets a waiter in.
func (l *line) let(w *waiter, now time.Time) {
	heap.Remove(&w.flow.waiters, w.index)
	w.flow.serve(now)
	l.projects[w.t.Project].add(now)
	l.turns++
	l.gone(w)
	w.pass = l.admit(&w.t, w.up, w.cost)
	close(w.ready)
}

// block notes why nobody is let in, and for how long at least.
func (l *line) block(now time.Time, reason batch.Reason, wait time.Duration) {
	if l.blocked.reason != reason || l.blocked.since.IsZero() {
		l.blocked = blocked{reason, now}
	}
	if wait == never {
		return
	}
	if l.timer == nil {
		l.timer = time.AfterFunc(wait, l.again)
		return
	}
	l.timer.Reset(wait)
}

func (l *line) again() {
	l.gate.mu.Lock()
	defer l.gate.mu.Unlock()
	l.pump()
	l.maybeAsk()
}

// usualAnswer is within what a queue answers as a rule.
const usualAnswer = 2 * time.Second

// waitingOn says what the line waits for.
func (l *line) waitingOn() *batch.WaitingOn {
	if l.waiting.All() == 0 || l.blocked.reason == "" {
		return nil
	}
	if l.blocked.reason == batch.QueueUnavailable && l.lease.trouble == "" && time.Since(l.blocked.since) < usualAnswer {
		return nil // it is being asked
	}
	w := &batch.WaitingOn{Reason: l.blocked.reason, Since: l.blocked.since.Unix()}
	if message, ok := messages[w.Reason]; ok {
		w.Message = fmt.Sprintf(message, l.name)
	} else {
		w.Message = fmt.Sprintf("What the queue %s allows is not known. %s", l.name, l.lease.trouble)
	}
	return w
}

// messages say what a queue lacks.
var messages = map[batch.Reason]string{
	batch.Paused:           "The queue %s is paused.",
	batch.ConcurrencyLimit: "As many calls are in flight as the queue %s allows.",
	batch.RequestLimit:     "The requests per minute of the queue %s are used up.",
	batch.TokenLimit:       "The tokens per minute of the queue %s are used up.",
}
