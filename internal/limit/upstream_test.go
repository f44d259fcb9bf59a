package limit_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/openai"
)

func TestAnOpenGateLetsEverythingIn(t *testing.T) {
	t.Parallel()
	g := limit.New(limit.Options{})
	for range 1000 {
		require.NoError(t, enter(t.Context(), g))
	}
	require.False(t, g.State("", "p").Closed())
}

func TestAThrottledGateWaitsAsLongAsTheProviderAsks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := limit.New(limit.Options{})
		fail(t, g, &llm.Error{Kind: llm.Throttled, RetryAfter: 20 * time.Second, Message: "slow down"})
		state := g.State("", "p")
		require.Equal(t, llm.Throttled, state.Kind)
		require.Equal(t, "slow down", state.Message)
		require.Equal(t, 20*time.Second, time.Until(state.Until))

		begun := time.Now()
		require.NoError(t, enter(t.Context(), g))
		require.Equal(t, 20*time.Second, time.Since(begun))
		require.False(t, g.State("", "p").Closed())
	})
}

func TestAProviderThatDoesNotSayHowLongIsAskedLessAndLessOften(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := limit.New(limit.Options{})
		var waits []time.Duration
		for range 8 {
			begun := time.Now()
			fail(t, g, &llm.Error{Kind: llm.Throttled})
			waits = append(waits, time.Since(begun))
		}
		s := time.Second
		require.Equal(t, []time.Duration{0, s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, time.Minute}, waits)
	})
}

func TestAfterAThrottleTheGateReopensByAndBy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := limit.New(limit.Options{})
		for range 10 {
			require.NoError(t, enter(t.Context(), g))
		}
		leave(g, &llm.Error{Kind: llm.Throttled, RetryAfter: time.Second})
		for range 9 {
			leave(g, nil)
		}
		time.Sleep(2 * time.Second)
		require.Equal(t, 2, admitted(t, g), "a quarter of what was in flight")
		for range 2 {
			leave(g, nil)
		}
		require.Equal(t, 4, admitted(t, g), "and twice as many each round")
		for range 4 {
			leave(g, nil)
		}
		require.Equal(t, 6, admitted(t, g), "up to half of what it was, from where it grows slowly")
	})
}

// admitted is how many calls the gate lets in at once. They stay in.
func admitted(t *testing.T, g *limit.Gate) int {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var wg sync.WaitGroup
	n := 0
	for range 50 {
		wg.Go(func() {
			if enter(ctx, g) == nil {
				mu.Lock()
				n++
				mu.Unlock()
			}
		})
	}
	synctest.Wait()
	cancel()
	wg.Wait()
	return n
}

func TestAHeldGateLetsOneProbeThroughAtATime(t *testing.T) {
	t.Parallel()
	for _, kind := range []llm.Kind{llm.Refused, llm.Exhausted, llm.Unreachable} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := limit.New(limit.Options{})
				fail(t, g, &llm.Error{Kind: kind, Message: "no"})
				require.Equal(t, kind, g.State("", "p").Kind)
				time.Sleep(time.Hour)
				require.Equal(t, 1, admitted(t, g))
				leave(g, nil)
				require.False(t, g.State("", "p").Closed())
				require.Equal(t, 50, admitted(t, g), "the probe got through")
			})
		})
	}
}

func TestProbesBackOffAndLessSoFromADeadProvider(t *testing.T) {
	t.Parallel()
	for kind, longest := range map[llm.Kind]time.Duration{llm.Refused: time.Minute, llm.Unreachable: 5 * time.Second} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := limit.New(limit.Options{})
				var last time.Duration
				for range 400 {
					begun := time.Now()
					fail(t, g, &llm.Error{Kind: kind})
					last = time.Since(begun)
				}
				require.Equal(t, longest, last)
			})
		})
	}
}

func TestAProbeThatIsCutOffIsNotTheLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := limit.New(limit.Options{})
		fail(t, g, &llm.Error{Kind: llm.Refused})
		time.Sleep(time.Minute)
		require.NoError(t, enter(t.Context(), g))
		leave(g, context.Canceled)
		require.NoError(t, enter(t.Context(), g))
		leave(g, nil)
		require.False(t, g.State("", "p").Closed())
	})
}

func TestEnterReturnsWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := limit.New(limit.Options{})
		fail(t, g, &llm.Error{Kind: llm.Throttled, RetryAfter: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, enter(ctx, g), context.DeadlineExceeded)
	})
}

func TestAnErrorOfOneRequestSaysNothingOfTheProvider(t *testing.T) {
	t.Parallel()
	g := limit.New(limit.Options{})
	for _, err := range []error{
		&llm.Error{Kind: llm.Permanent, Status: 400}, &llm.Error{Kind: llm.Transient, Status: 500}, errors.New("other"), nil,
	} {
		require.NoError(t, enter(t.Context(), g))
		leave(g, err)
		require.False(t, g.State("", "p").Closed())
	}
}

// call is the ticket of the next call, each of another request.
var calls atomic.Int64

func enter(ctx context.Context, g *limit.Gate) error {
	_, err := pass(ctx, g, calls.Add(1))
	return err
}

func pass(ctx context.Context, g *limit.Gate, request int64) (limit.Pass, error) {
	p, err := g.Enter(ctx, limit.Ticket{Provider: "p", Order: request})
	if err == nil {
		passes.Store(g, p) // any one will do
	}
	return p, err
}

var passes sync.Map

func leave(g *limit.Gate, err error) bool {
	p, _ := passes.Load(g)
	last := p.(limit.Pass)
	return g.Leave(&last, err, openai.Usage{})
}

// fail enters, waiting if need be, and leaves with an error.
func fail(t *testing.T, g *limit.Gate, err *llm.Error) {
	t.Helper()
	require.NoError(t, enter(t.Context(), g))
	leave(g, err)
}

// BenchmarkGate measures what an open gate costs a call.
func BenchmarkGate(b *testing.B) {
	g := limit.New(limit.Options{Bound: 512})
	ctx := b.Context()
	t := limit.Ticket{Provider: "p", Project: "default", Flow: "batch_1", Body: []byte("{}")}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if p, err := g.Enter(ctx, t); err == nil {
				g.Leave(&p, nil, openai.Usage{})
			}
		}
	})
}
