package limit_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/queue"
)

// TestWhateverHappensToProcessesTheConcurrencyHolds runs gates over the real
// allocator: processes die, are cut off and come, messages get lost or late, and
// the clock of the allocator steps. Every call of those who live is made, and the
// provider never sees more at once than is allowed.
func TestWhateverHappensToProcessesTheConcurrencyHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		most := rapid.IntRange(1, 40).Draw(rt, "concurrency")
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(queue.Settings{Concurrency: int64(most)})
			w.rng = rand.New(rand.NewPCG(seed, 3))
			w.lossy = true
			w.takes = func() time.Duration { return time.Duration(1+w.rng.IntN(3000)) * time.Millisecond }
			ctx, stop := context.WithCancel(t.Context())
			go w.tick(ctx)
			var waits []func() int
			hire := func() {
				m := w.join(ctx, name(len(w.gates)), 0)
				waits = append(waits, m.crowd(ctx, 40, nil))
			}
			for range 3 {
				hire()
			}
			chance := rand.New(rand.NewPCG(seed, 4))
			for range 12 {
				time.Sleep(time.Duration(chance.IntN(6000)) * time.Millisecond)
				m := w.gates[chance.IntN(len(w.gates))]
				switch chance.IntN(5) {
				case 0:
					w.crash(m)
				case 1:
					hire()
				case 2, 3:
					w.mu.Lock()
					m.cut = !m.cut
					w.mu.Unlock()
				case 4:
					w.mu.Lock()
					w.skew = time.Duration(chance.IntN(4001)-2000) * time.Millisecond
					w.mu.Unlock()
				}
			}
			w.mu.Lock()
			w.lossy = false
			for _, m := range w.gates {
				m.cut = false
			}
			w.mu.Unlock()
			for i, wait := range waits {
				if done := wait(); w.gates[i].dead.Err() == nil {
					require.Equal(rt, 40, done, "%s lives and has not made all of its calls", w.gates[i].name)
				}
			}
			_, peak, _ := w.count()
			require.LessOrEqual(rt, peak, most)
			requireWhole(rt, w, int64(most))
			stop()
			for _, m := range w.gates {
				m.Close()
			}
			synctest.Wait()
		})
	})
}

// requireWhole finds every permit with the allocator once nobody calls any more.
func requireWhole(rt *rapid.T, w *world, most int64) {
	time.Sleep(time.Minute)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.books.Expire(w.clock())
	require.Empty(rt, w.books.Leases)
	g := w.books.Ask(w.clock(), queue.Request{Worker: "last", Waiting: queue.Counts{Interactive: 1000}})
	require.Equal(rt, most, g.Permits)
}

// bucket enforces a rate as a provider does.
type bucket struct {
	rate, level, burst float64 // a second
	at                 time.Time
	refused            int
}

func (b *bucket) take(n float64) bool {
	now := time.Now()
	b.level = min(b.level+b.rate*now.Sub(b.at).Seconds(), b.burst)
	b.at = now
	if b.level < n {
		b.refused++
		return false
	}
	b.level -= n
	return true
}

// TestRatesAreUsedToTheLastPercentAndNotBeyond has three gates share requests and
// tokens per minute, before a provider that allows no more than four seconds' worth
// at once.
func TestRatesAreUsedToTheLastPercentAndNotBeyond(t *testing.T) {
	t.Parallel()
	for what, s := range map[string]queue.Settings{
		"requests": {RPM: 3000}, "tokens": {TPM: 300_000}, "both": {RPM: 3000, TPM: 300_000}, "few requests": {RPM: 20},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(s)
				perSecond := float64(s.RPM) / 60
				if s.RPM == 0 {
					perSecond = float64(s.TPM) / 60 / 100
				}
				provider := bucket{rate: perSecond, burst: max(4*perSecond, 2), level: max(4*perSecond, 2), at: time.Now()}
				w.takes = func() time.Duration { provider.take(1); return 200 * time.Millisecond }
				ctx, stop := context.WithCancel(t.Context())
				var waits []func() int
				for i := range 3 {
					m := w.join(ctx, name(i), 0)
					waits = append(waits, m.crowd(ctx, 64, func(j int) limit.Ticket {
						return limit.Ticket{Queue: "q", Flow: m.name, Order: int64(j), Priority: -1, Body: make([]byte, 40)}
					}))
					for range 63 {
						go func() {
							for m.call(ctx, limit.Ticket{Queue: "q", Flow: m.name, Priority: -1, Body: make([]byte, 40)}) {
							}
						}()
					}
				}
				time.Sleep(3 * time.Minute)
				defer func() {
					stop()
					for i, wait := range waits {
						wait()
						w.gates[i].Close()
					}
				}()
				_, _, started := w.count()
				allowed := 180 * perSecond
				require.GreaterOrEqual(t, float64(started), 0.97*allowed-2)
				require.LessOrEqual(t, float64(started), allowed+4*perSecond+3)
				require.Zero(t, provider.refused)
				t.Logf("%.1f asks a second, %.3f of what is allowed", float64(w.asks)/180, float64(started)/allowed)
				require.Less(t, w.asks, 3*3*180, "asking the allocator costs as well")
			})
		})
	}
}
