package limit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/queue"
)

// world is an allocator, gates that lease from it over a network that delays, loses
// and repeats, and a provider that counts. It lives in a synctest bubble.
type world struct {
	*testing.T

	ctx     context.Context //nolint:containedctx // the world's life
	mu      sync.Mutex
	rng     *rand.Rand
	books   *queue.Allocator
	gates   []*member
	skew    time.Duration
	asks    int
	lossy   bool
	instant bool // the network takes no time
	fails   int  // of the next asks
	told    []queue.Closing

	inFlight, peak, started int
	answer                  func(body string) error // of the provider; nil is a success
	takes                   func() time.Duration
}

func newWorld(s queue.Settings) *world {
	return &world{
		books: queue.New("q", s), rng: rand.New(rand.NewPCG(1, 2)),
		takes: func() time.Duration { return 200 * time.Millisecond },
	}
}

// member is the process of one gate.
type member struct {
	*limit.Gate

	world  *world
	name   string
	nudges chan struct{}
	cut    bool // from the allocator
	dead   context.Context
	kill   context.CancelFunc
}

func (w *world) join(ctx context.Context, name string, bound int) *member {
	m := &member{world: w, name: name, nudges: make(chan struct{}, 1)}
	m.dead, m.kill = context.WithCancel(ctx)
	m.Gate = limit.New(limit.Options{Leaser: m, Worker: name, Label: name, Bound: bound})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gates = append(w.gates, m)
	return m
}

var errCut = errors.New("the allocator cannot be reached")

// Lease implements limit.Leaser.
func (m *member) Lease(ctx context.Context, name string, r queue.Request) (queue.Grant, error) {
	w := m.world
	if name != "q" { // it has no limits
		return queue.New(name, queue.Settings{}).Ask(w.clock(), r), nil
	}
	there, back := w.delay(), w.delay()
	if err := m.travel(ctx, there); err != nil {
		return queue.Grant{}, err
	}
	w.mu.Lock()
	if w.fails--; w.fails >= 0 || w.lossy && w.rng.IntN(12) == 0 {
		w.mu.Unlock()
		return queue.Grant{}, errCut
	}
	w.told = append(w.told, r.Closings...)
	g := w.books.Ask(w.clock(), r)
	if w.lossy && w.rng.IntN(12) == 0 {
		g = w.books.Ask(w.clock(), r)
	}
	lost := w.lossy && w.rng.IntN(12) == 0
	w.asks++
	w.deliver()
	w.mu.Unlock()
	if err := m.travel(ctx, back); err != nil || lost {
		return queue.Grant{}, errCut
	}
	return g, nil
}

// travel takes time, and leads nowhere for those who are cut off.
func (m *member) travel(ctx context.Context, d time.Duration) error {
	m.world.mu.Lock()
	cut := m.cut || m.dead.Err() != nil
	m.world.mu.Unlock()
	if cut {
		<-ctx.Done()
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// Nudges implements limit.Leaser.
func (m *member) Nudges(string) (<-chan struct{}, func()) { return m.nudges, func() {} }

// deliver takes nudges to those who are meant, with mu held.
func (w *world) deliver() {
	for _, name := range w.books.TakeNudges() {
		for _, m := range w.gates {
			if m.name == name && !m.cut && (!w.lossy || w.rng.IntN(5) > 0) {
				time.AfterFunc(10*time.Millisecond, func() {
					select {
					case m.nudges <- struct{}{}:
					default:
					}
				})
			}
		}
	}
}

// set changes the queue's settings.
func (w *world) set(c queue.Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.books.Set(w.clock(), c)
	w.deliver()
}

// tick lets leases end, as the workflow's timer does.
func (w *world) tick(ctx context.Context) {
	for ctx.Err() == nil {
		w.mu.Lock()
		w.books.Expire(w.clock())
		w.deliver()
		w.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (w *world) clock() int64 { return time.Now().Add(w.skew).UnixMilli() }

func (w *world) delay() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.instant {
		return 0
	}
	if w.lossy && w.rng.IntN(10) == 0 {
		return time.Duration(1+w.rng.IntN(3000)) * time.Millisecond
	}
	return time.Duration(1+w.rng.IntN(10)) * time.Millisecond
}

// call makes one call through the gate of m, again until it has its answer. It
// returns false if m has died or ctx has ended.
func (m *member) call(ctx context.Context, t limit.Ticket) bool {
	t.Provider = "p"
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(m.dead, stop)() //nolint:contextcheck // the call ends with the process
	for {
		pass, err := m.Enter(ctx, t)
		if err != nil {
			return false
		}
		callCtx, end := pass.Context(ctx)
		err = m.world.serve(callCtx, string(t.Body))
		end()
		m.Leave(&pass, err, usage)
		if t.Bounded {
			m.Release()
		}
		if err == nil {
			return true
		}
	}
}

// serve is the provider.
func (w *world) serve(ctx context.Context, body string) error {
	w.mu.Lock()
	w.started++
	w.inFlight++
	w.peak = max(w.peak, w.inFlight)
	takes := w.takes()
	answer := w.answer
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.inFlight--
		w.mu.Unlock()
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(takes):
	}
	if answer == nil {
		return nil
	}
	return answer(body)
}

// notes has the provider note the numbers that calls have for a body.
func (w *world) notes() *[]int {
	order := new([]int)
	w.answer = func(body string) error {
		n, err := strconv.Atoi(body)
		*order = append(*order, n)
		return err
	}
	return order
}

// crash kills a process: its calls end at once, and nobody hears of it.
func (w *world) crash(m *member) { m.kill() }

// asked is how often the allocator was.
func (w *world) asked() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asks
}

// reports are what providers have asked for, as the allocator has heard it.
func (w *world) reports() []queue.Closing {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.told
}

// count reads what the provider has seen.
func (w *world) count() (inFlight, peak, started int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.inFlight, w.peak, w.started
}

// crowd makes n calls at once and returns a function that waits for them.
func (m *member) crowd(ctx context.Context, n int, ticket func(i int) limit.Ticket) (wait func() int) {
	var all sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for i := range n {
		all.Go(func() {
			t := limit.Ticket{Queue: "q", Flow: m.name, Accepted: 1, Order: int64(i), Priority: -1}
			if ticket != nil {
				t = ticket(i)
			}
			if m.call(ctx, t) {
				mu.Lock()
				done++
				mu.Unlock()
			}
		})
	}
	return func() int {
		all.Wait()
		return done
	}
}

var throttled = &llm.Error{Kind: llm.Throttled, RetryAfter: 20 * time.Second, Message: "slow down"}

var usage = openai.Usage{InputTokens: 10, OutputTokens: 90, TotalTokens: 100}

func name(i int) string { return fmt.Sprintf("worker-%d", i) }
