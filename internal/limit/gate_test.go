package limit_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/queue"
)

// inWorld runs a test in a bubble with a queue q.
func inWorld(t *testing.T, s queue.Settings, test func(w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(s)
		ctx, stop := context.WithCancel(t.Context())
		w.T, w.ctx = t, ctx
		go w.tick(ctx)
		defer func() { // also of a test that fails
			stop()
			for _, m := range w.gates {
				m.Close()
			}
			synctest.Wait()
		}()
		test(w)
	})
}

func TestACrowdDoesNotHoldUpASingleCall(t *testing.T) {
	inWorld(t, queue.Settings{Concurrency: 10}, func(w *world) {
		ctx, t := w.ctx, w.T
		crowded := w.join(ctx, "crowded", 0)
		wait := crowded.crowd(ctx, 2000, nil)
		other := w.join(ctx, "other", 0)
		time.Sleep(10 * time.Second)
		for _, m := range []*member{crowded, other} {
			for priority, what := range map[int]string{0: "interactive", -1: "of a small batch"} {
				begun := time.Now()
				require.True(t, m.call(ctx, limit.Ticket{Queue: "q", Flow: what, Accepted: time.Now().UnixMilli(), Priority: priority}))
				waited := time.Since(begun) - 200*time.Millisecond
				require.LessOrEqual(t, waited, 300*time.Millisecond, "%s, in %s", what, m.name)
				time.Sleep(3 * time.Second)
			}
		}
		require.Equal(t, 2000, wait())
		_, peak, _ := w.count()
		require.Equal(t, 10, peak)
	})
}

func TestASmallRunIsDoneWhileALargeOneWaits(t *testing.T) {
	inWorld(t, queue.Settings{Concurrency: 4}, func(w *world) {
		ctx, t := w.ctx, w.T
		m := w.join(ctx, "m", 0)
		large := m.crowd(ctx, 1000, nil)
		time.Sleep(5 * time.Second)
		begun := time.Now()
		small := m.crowd(ctx, 10, func(i int) limit.Ticket {
			return limit.Ticket{Queue: "q", Flow: "small", Accepted: 2, Order: int64(i), Priority: -1}
		})
		require.Equal(t, 10, small())
		require.LessOrEqual(t, time.Since(begun), 4*200*time.Millisecond, "three rounds alone, and one call's time")
		require.Equal(t, 1000, large())
	})
}

func TestNothingStarves(t *testing.T) {
	inWorld(t, queue.Settings{Concurrency: 2}, func(w *world) {
		ctx, t := w.ctx, w.T
		m := w.join(ctx, "m", 0)
		busy, quiet := context.WithCancel(ctx)
		for i := range 20 { // more than there is room for, and before all batches
			go func() {
				for n := int64(0); m.call(busy, limit.Ticket{Queue: "q", Flow: "busy", Accepted: n, Order: int64(i)}); n++ {
				}
			}()
		}
		begun := time.Now()
		require.Equal(t, 10, m.crowd(ctx, 10, nil)())
		require.Less(t, time.Since(begun), 5*time.Minute)
		quiet()
	})
}

func TestWeightsShareTheQueueBetweenProjects(t *testing.T) {
	inWorld(t, queue.Settings{Concurrency: 4, Weights: map[string]int64{"a": 3}}, func(w *world) {
		ctx, t := w.ctx, w.T
		m := w.join(ctx, "m", 0)
		var mu sync.Mutex
		done := map[string]int{}
		working, stop := context.WithCancel(ctx)
		defer stop()
		for _, project := range []string{"a", "b"} {
			for i := range 16 {
				go func() {
					for m.call(working, limit.Ticket{Queue: "q", Project: project, Flow: project, Order: int64(i)}) {
						mu.Lock()
						done[project]++
						mu.Unlock()
					}
				}()
			}
		}
		time.Sleep(time.Minute)
		stop()
		synctest.Wait()
		require.InDelta(t, 3, float64(done["a"])/float64(done["b"]), 0.3)
	})
}

func TestALimitThatChangesTakesEffectInUnderASecond(t *testing.T) {
	inWorld(t, queue.Settings{Concurrency: 20}, func(w *world) {
		ctx, t := w.ctx, w.T
		working, stop := context.WithCancel(ctx)
		defer stop()
		for i := range 3 {
			m := w.join(ctx, name(i), 0)
			for range 20 {
				go func() {
					for m.call(working, limit.Ticket{Queue: "q", Flow: m.name, Priority: -1}) {
					}
				}()
			}
		}
		inFlight := func() int { n, _, _ := w.count(); return n }
		steps := []struct {
			change queue.Change
			most   int
		}{
			{queue.Change{Concurrency: new(int64(5))}, 5}, {queue.Change{Concurrency: new(int64(30))}, 30},
			{queue.Change{Paused: new(true)}, 0}, {queue.Change{Paused: new(false)}, 30}, {queue.Change{Concurrency: new(int64(1))}, 1},
		}
		time.Sleep(5 * time.Second)
		require.Equal(t, 20, inFlight())
		for _, s := range steps {
			w.set(s.change)
			time.Sleep(time.Second)
			require.Equal(t, s.most, inFlight(), "%+v", s.change)
			time.Sleep(7 * time.Second)
			require.Equal(t, s.most, inFlight(), "%+v", s.change)
		}
		stop()
	})
}

func TestAWorkerThatIsCutOffEndsItsCallsByTheEndOfItsLease(t *testing.T) {
	inWorld(t, queue.Settings{Concurrency: 5}, func(w *world) {
		ctx, t := w.ctx, w.T
		w.takes = func() time.Duration { return time.Hour }
		m := w.join(ctx, "m", 0)
		working, stop := context.WithCancel(ctx)
		defer stop()
		wait := m.crowd(working, 9, nil)
		time.Sleep(3 * time.Second)
		w.mu.Lock()
		m.cut = true
		w.mu.Unlock()
		time.Sleep(6 * time.Second)
		inFlight, _, started := w.count()
		require.Zero(t, inFlight)
		require.Equal(t, 5, started, "and begins none")
		require.Equal(t, batch.QueueUnavailable, m.WaitingOn("q", "p").Reason)
		stop()
		wait()
	})
}

func TestOneThrottleClosesTheProviderOnEveryWorker(t *testing.T) {
	for what, s := range map[string]queue.Settings{"without limits": {}, "with a limit": {Concurrency: 50}} {
		t.Run(what, func(t *testing.T) {
			inWorld(t, s, func(w *world) {
				ctx, t := w.ctx, w.T
				working, stop := context.WithCancel(ctx)
				defer stop()
				for i := range 3 {
					m := w.join(ctx, name(i), 0)
					for j := range 20 {
						go func() {
							for m.call(working, limit.Ticket{Queue: "q", Flow: m.name, Priority: -1, Order: int64(j)}) {
							}
						}()
					}
				}
				time.Sleep(5 * time.Second)
				w.mu.Lock()
				w.answer = func(string) error { return throttled }
				w.mu.Unlock()
				time.Sleep(500 * time.Millisecond) // those in flight, and word gets round
				_, _, before := w.count()
				time.Sleep(19 * time.Second)
				_, _, after := w.count()
				require.Equal(t, before, after, "nobody calls before the pause is over")
				for _, m := range w.gates {
					require.Equal(t, batch.RateLimited, m.WaitingOn("q", "p").Reason)
				}
				w.mu.Lock()
				w.answer, w.peak = nil, 0
				w.mu.Unlock()
				time.Sleep(1200 * time.Millisecond)
				_, peak, reopened := w.count()
				require.Greater(t, reopened, after)
				require.Less(t, peak, 35, "it opens by and by")
				time.Sleep(10 * time.Second)
				inFlight, _, _ := w.count()
				require.GreaterOrEqual(t, inFlight, 30, "and has opened")
				stop()
			})
		})
	}
}

// A provider that is down for two minutes costs no request an attempt beyond the
// first few, and is called again at most five seconds after it is back.
func TestADeadProviderIsWaitedFor(t *testing.T) {
	for what, down := range map[string]*llm.Error{
		"no answer":    {Kind: llm.Transient, Code: llm.CodeConnection},
		"server error": {Kind: llm.Transient, Status: 500},
		"no way to it": {Kind: llm.Unreachable, Code: llm.CodeConnection},
	} {
		t.Run(what, func(t *testing.T) {
			inWorld(t, queue.Settings{Concurrency: 50}, func(w *world) {
				ctx, t := w.ctx, w.T
				m := w.join(ctx, "m", 0)
				answered := 0
				w.takes = func() time.Duration { return 100 * time.Millisecond }
				working, stop := context.WithCancel(ctx)
				defer stop()
				counted := map[int]int{}
				var mu sync.Mutex
				for i := range 60 {
					go func() {
						for working.Err() == nil {
							pass, err := m.Enter(working, limit.Ticket{Queue: "q", Provider: "p", Flow: "f", Order: int64(i), Priority: -1})
							if err != nil {
								return
							}
							err = w.serve(working, "")
							counts := m.Leave(&pass, err, usage)
							mu.Lock()
							if err == nil {
								answered++
							} else if counts && down.Kind == llm.Transient {
								counted[i]++
							}
							mu.Unlock()
							select {
							case <-working.Done():
							case <-time.After(time.Duration(100+i) * time.Millisecond):
							}
						}
					}()
				}
				set := func(answer func(string) error) {
					w.mu.Lock()
					defer w.mu.Unlock()
					w.answer = answer
				}
				time.Sleep(5 * time.Second)
				set(func(string) error { return down })
				time.Sleep(2 * time.Minute)
				require.NotNil(t, m.WaitingOn("q", "p"))
				set(nil)
				mu.Lock()
				before := answered
				for i, n := range counted {
					require.LessOrEqual(t, n, 1, "request %d", i)
				}
				mu.Unlock()
				time.Sleep(5 * time.Second)
				mu.Lock()
				require.Greater(t, answered, before+100)
				mu.Unlock()
				stop()
			})
		})
	}
}

func TestARequestThatFailsByItselfKeepsNobodyOut(t *testing.T) {
	inWorld(t, queue.Settings{}, func(w *world) {
		ctx, t := w.ctx, w.T
		m := w.join(ctx, "m", 0)
		poison := func(body string) error {
			if body == "poison" {
				return &llm.Error{Kind: llm.Transient, Status: 500}
			}
			return nil
		}
		w.answer = func(string) error { return &llm.Error{Kind: llm.Transient, Status: 500} }
		working, stop := context.WithCancel(ctx)
		defer stop()
		for i := range 6 { // they open the breaker
			go m.call(working, limit.Ticket{Queue: "q", Order: int64(i), Body: []byte("poison")})
		}
		time.Sleep(10 * time.Second)
		require.Equal(t, batch.ProviderFailing, m.WaitingOn("q", "p").Reason)
		w.mu.Lock()
		w.answer = poison
		w.mu.Unlock()
		begun := time.Now()
		require.True(t, m.call(ctx, limit.Ticket{Queue: "q", Accepted: 9, Order: 99, Body: []byte("good")}))
		require.Less(t, time.Since(begun), 5*time.Second)
		stop()
	})
}

func TestACallThatWaitsForAnythingHoldsNothingElse(t *testing.T) {
	inWorld(t, queue.Settings{RPM: 60, Concurrency: 2}, func(w *world) {
		ctx, t := w.ctx, w.T
		m := w.join(ctx, "m", 3)
		limited := m.crowd(ctx, 50, func(i int) limit.Ticket {
			return limit.Ticket{Queue: "q", Flow: "limited", Order: int64(i), Bounded: true}
		})
		time.Sleep(5 * time.Second)
		// The process takes three calls at once, and fifty wait for a rate. Others
		// need not.
		begun := time.Now()
		for range 10 {
			pass, err := m.Enter(ctx, limit.Ticket{Queue: "another", Provider: "p", Bounded: true})
			require.NoError(t, err)
			m.Leave(&pass, nil, usage)
			m.Release()
		}
		require.Less(t, time.Since(begun), time.Second)
		require.Equal(t, 50, limited())
		require.Less(t, w.asks, 250, "a queue that waits does not spin")
	})
}

func TestAnUnusedLeaseGoesBack(t *testing.T) {
	inWorld(t, queue.Settings{Concurrency: 10}, func(w *world) {
		ctx, t := w.ctx, w.T
		m := w.join(ctx, "m", 0)
		require.Equal(t, 5, m.crowd(ctx, 5, nil)())
		time.Sleep(5 * time.Second)
		w.mu.Lock()
		require.Empty(t, w.books.Leases)
		asks := w.asks
		w.mu.Unlock()
		time.Sleep(time.Hour)
		require.Equal(t, asks, w.asks, "an idle queue costs nothing")
		require.Equal(t, 5, m.crowd(ctx, 5, nil)(), "and is there when it is needed")
	})
}

func TestAnImpatientCallIsTurnedAwayFromAClosedProvider(t *testing.T) {
	inWorld(t, queue.Settings{}, func(w *world) {
		ctx, t := w.ctx, w.T
		m := w.join(ctx, "m", 0)
		w.answer = func(string) error { return throttled }
		working, stop := context.WithCancel(ctx)
		defer stop()
		go m.call(working, limit.Ticket{Queue: "q"})
		time.Sleep(time.Second)
		_, err := m.Enter(ctx, limit.Ticket{Queue: "q", Provider: "p", Patience: 5 * time.Second})
		var closed *limit.ClosedError
		require.ErrorAs(t, err, &closed)
		require.InDelta(t, 19.5, time.Until(closed.Until).Seconds(), 1)
		stop()
	})
}

func TestAPositionIsThatInTheLine(t *testing.T) {
	inWorld(t, queue.Settings{Concurrency: 1, Paused: true}, func(w *world) {
		ctx, t := w.ctx, w.T
		m := w.join(ctx, "m", 0)
		working, stop := context.WithCancel(ctx)
		defer stop()
		wait := m.crowd(working, 5, func(i int) limit.Ticket { return limit.Ticket{Queue: "q", Accepted: int64(10 + i)} })
		time.Sleep(time.Second)
		require.EqualValues(t, 3, m.Position(limit.Ticket{Queue: "q", Provider: "p", Accepted: 12}))
		require.Zero(t, m.Position(limit.Ticket{Queue: "q", Provider: "p", Accepted: 99}))
		require.Equal(t, batch.Paused, m.WaitingOn("q", "p").Reason)
		stop()
		wait()
	})
}
