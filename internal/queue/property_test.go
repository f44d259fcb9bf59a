package queue_test

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/queue"
)

// world is an allocator, and workers that speak to it over a network which loses
// and repeats what they say. Time is in ms.
type world struct {
	*rapid.T
	*rand.Rand

	now     int64
	skew    int64 // of the allocator's clock, which moves from host to host
	books   *queue.Allocator
	workers []*worker
	names   int64

	tokens float64 // of a provider that enforces the rate; see start
}

// worker does what a gate does, with calls that take as long as they like.
type worker struct {
	name     string
	lease    int64
	grant    queue.Grant
	sent     int64 // when the request went out that brought the grant
	inFlight int64
	waiting  int64
	requests int64 // started under this lease

	onTheWay, delivered bool
	asked               int64
	request             queue.Request
	answer              queue.Grant
}

const (
	steps   = 4000
	maxSkew = 2000
	ratio   = 60_000
)

// between is any number from low to high.
func (w *world) between(low, high int64) int64 { return low + w.Int64N(high-low+1) }

func (w *world) clock() int64 { return 1_000_000 + w.now + w.skew }

// send has a worker say how it stands. What it says is on its way until it is
// delivered; the worker goes on meanwhile.
func (w *world) send(k *worker) {
	if k.onTheWay {
		return
	}
	k.onTheWay, k.delivered, k.asked = true, false, w.now
	k.request = queue.Request{
		Worker: k.name, Lease: k.lease, Grant: k.grant.Number, Requests: k.requests,
		InFlight: queue.Counts{Batch: k.inFlight}, Waiting: queue.Counts{Batch: k.waiting},
	}
}

// deliver takes what a worker said to the books. A request may arrive twice.
func (w *world) deliver(k *worker) {
	if !k.onTheWay || k.delivered {
		return
	}
	k.delivered = true
	k.answer = w.books.Ask(w.clock(), k.request)
	if w.IntN(10) == 0 {
		k.answer = w.books.Ask(w.clock(), k.request)
	}
	if w.IntN(10) == 0 {
		w.continueAsNew()
	}
	w.books.TakeNudges()
}

// receive brings the answer, unless it or the request got lost.
func (w *world) receive(k *worker) {
	if !k.onTheWay {
		return
	}
	k.onTheWay = false
	if !k.delivered || w.IntN(4) == 0 || k.request.Lease != k.lease || w.now >= k.asked+k.answer.TTL {
		return
	}
	if k.answer.Lease != k.lease {
		k.lease, k.requests = k.answer.Lease, 0
	}
	k.grant, k.sent = k.answer, k.asked
}

// leave has a worker give its lease back, once and perhaps twice.
func (w *world) leave(k *worker) {
	k.waiting, k.inFlight = k.waiting+k.inFlight, 0
	r := queue.Request{Worker: k.name, Lease: k.lease, Grant: k.grant.Number, Requests: k.requests, Leaving: true}
	*k = worker{name: k.name, waiting: k.waiting}
	if r.Lease == 0 {
		return
	}
	for range w.IntN(3) {
		w.books.Ask(w.clock(), r)
	}
}

// continueAsNew takes the books to another run and back.
func (w *world) continueAsNew() {
	data, err := json.Marshal(w.books)
	require.NoError(w, err)
	w.books = &queue.Allocator{}
	require.NoError(w, json.Unmarshal(data, w.books))
}

func (w *world) over(k *worker) bool { return w.now >= k.sent+k.grant.TTL }

// start begins calls as far as the worker believes that it may.
func (w *world) start(k *worker) {
	most := w.between(1, 50)
	for ; most > 0 && k.lease != 0 && !w.over(k) && k.waiting > 0 && k.inFlight < k.grant.Permits; most-- {
		if k.grant.Requests != queue.NoLimit && k.requests >= k.grant.Requests {
			break
		}
		k.waiting--
		k.inFlight++
		k.requests++
		w.tokens--
	}
	w.check()
}

// pass lets time go by: leases end, and calls with them.
func (w *world) pass(ms int64) {
	w.now += ms
	rate := float64(w.books.Settings.RPM) / ratio
	w.tokens = min(w.tokens+rate*float64(ms), w.capacity())
	for _, k := range w.workers {
		if k.lease != 0 && w.over(k) {
			k.waiting += k.inFlight
			k.lease, k.grant, k.inFlight, k.requests = 0, queue.Grant{}, 0, 0
		}
	}
}

// capacity is what a provider has to put up with at once: what an account holds,
// what workers hold, and a clock that steps by twice the skew.
func (w *world) capacity() float64 {
	const held, ahead = 2000, 2000
	return float64(w.books.Settings.RPM)/ratio*(held+ahead+2*maxSkew) + float64(len(w.workers)) + 2
}

// check is what must hold at every moment.
func (w *world) check() {
	var inFlight int64
	for _, k := range w.workers {
		inFlight += k.inFlight
	}
	require.LessOrEqual(w, inFlight, w.books.Settings.Concurrency, "at %d", w.now)
	if w.books.Settings.RPM > 0 {
		require.GreaterOrEqual(w, w.tokens, 0.0, "more requests than the rate brings, at %d", w.now)
	}
}

func (w *world) hire() {
	if len(w.workers) < 4 {
		w.names++
		w.workers = append(w.workers, &worker{name: string(rune('a' + w.names%3)), waiting: 50}) // some share a name
	}
}

// schedule is what may happen next, the likely things several times.
var schedule = []string{
	"start", "start", "start", "start", "ask", "ask", "send", "send", "deliver", "deliver", "receive", "receive", "finish", "finish",
	"moment", "moment", "moment", "while", "long", "skew", "hire", "crash", "restart", "rest", "work", "leave",
}

func (w *world) step(what string) {
	if what == "hire" || len(w.workers) == 0 {
		w.hire()
		return
	}
	k := w.workers[w.IntN(len(w.workers))]
	switch what {
	case "start":
		w.start(k)
	case "ask": // answered at once
		w.send(k)
		w.deliver(k)
		w.receive(k)
	case "send":
		w.send(k)
	case "deliver":
		w.deliver(k)
	case "receive":
		w.receive(k)
	case "finish":
		k.inFlight -= min(k.inFlight, w.between(1, 5))
	case "moment":
		w.pass(w.between(1, 200))
	case "while":
		w.pass(w.between(1, 5000))
	case "long":
		w.pass(w.between(5000, 10_000))
	case "skew":
		w.skew = w.Int64N(2*maxSkew+1) - maxSkew
	case "crash": // its calls end with it
		w.workers = slices.DeleteFunc(w.workers, func(o *worker) bool { return o == k })
	case "restart":
		*k = worker{name: k.name, waiting: 50}
	case "rest":
		k.waiting = 0
	case "work":
		k.waiting += w.between(1, 50)
	case "leave":
		w.leave(k)
	}
}

// These two are the core of the promise that limits hold, whatever happens.

func TestNoScheduleExceedsAConcurrencyOrLosesPermits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		happen(rt, queue.Settings{Concurrency: rapid.Int64Range(1, 12).Draw(rt, "concurrency")})
	})
}

func TestNoScheduleExceedsARateOrLosesBudgets(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		happen(rt, queue.Settings{Concurrency: 1000, RPM: rapid.SampledFrom([]int64{6, 60, 600, 6000}).Draw(rt, "rpm")})
	})
}

// happen lets anything happen to a queue. rapid prefers small numbers and short
// lists, which bring no calls in flight: chance is drawn from a seed instead.
func happen(rt *rapid.T, s queue.Settings) {
	w := &world{T: rt, books: queue.New("q", s), Rand: rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))}
	w.tokens = w.capacity()
	w.books.Expire(w.clock())
	for range steps {
		w.step(schedule[w.IntN(len(schedule))])
		w.check()
	}
	requireAllComesBack(w)
}

// requireAllComesBack lets every worker vanish. All permits and budgets are there
// for the next one.
func requireAllComesBack(w *world) {
	w.workers, w.skew = nil, maxSkew
	w.pass(120_000)
	w.books.Expire(w.clock())
	require.Empty(w, w.books.Leases)
	quantum := int64(60_000 * 1000)
	full := max(w.books.Settings.RPM*1000*2000, quantum)
	if w.books.Settings.RPM > 0 {
		require.Equal(w, full, w.books.Requests.Level, "the account is full again")
	}
	g := w.books.Ask(w.clock(), queue.Request{Worker: "last", Waiting: queue.Counts{Interactive: 1000}})
	require.Equal(w, w.books.Settings.Concurrency, g.Permits)
	require.NotZero(w, g.Requests)
}

// TestTheTokenAccountBalances has workers reserve and settle, owe, come and go.
func TestTheTokenAccountBalances(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		const quantum = 60_000 * 1000
		rate := rapid.Int64Range(60, 2_000_000).Draw(rt, "tpm")
		books := queue.New("q", queue.Settings{TPM: rate})
		type member struct {
			lease, grant, granted, spent int64
		}
		var members []*member
		now := int64(1000)
		books.Expire(now)
		level := books.Tokens.Level // as it should be
		refill := func(ms int64) {
			now += ms
			level = min(level+rate*1000*ms, max(rate*1000*2000, quantum))
			books.Expire(now)
		}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			refill(rapid.Int64Range(1, 900).Draw(rt, "ms"))
			if len(members) == 0 || len(members) < 4 && rapid.Bool().Draw(rt, "joins") {
				members = append(members, &member{})
			}
			i := rapid.IntRange(0, len(members)-1).Draw(rt, "member")
			m := members[i]
			held := slices.ContainsFunc(books.Leases, func(l queue.Lease) bool { return l.Number == m.lease })
			if !held { // it said nothing for long, and what it had is gone
				*m = member{}
			} else { // answers cost what they cost: more than the budget, or less
				m.spent = max(m.spent+rapid.Int64Range(-rate/600, rate/60+1).Draw(rt, "spent"), 0)
			}
			leaves := m.lease != 0 && rapid.IntRange(0, 4).Draw(rt, "leaves") == 0
			g := books.Ask(now, queue.Request{
				Worker: "w", Lease: m.lease, Grant: m.grant, Tokens: m.spent, Waiting: queue.Counts{Batch: 3}, Leaving: leaves,
			})
			if leaves {
				level += (m.granted - m.spent) * quantum
				members = append(members[:i], members[i+1:]...)
			} else {
				level -= (g.Tokens - m.granted) * quantum
				m.lease, m.grant, m.granted = g.Lease, g.Number, g.Tokens
			}
			require.Equal(rt, level, books.Tokens.Level)
		}
	})
}
