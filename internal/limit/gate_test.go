package limit_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/llm"
)

func TestAnOpenGateLetsEverythingIn(t *testing.T) {
	t.Parallel()
	g := limit.New()
	for range 1000 {
		require.NoError(t, g.Enter(t.Context()))
	}
	require.False(t, g.State().Closed())
}

func TestAThrottledGateWaitsAsLongAsTheProviderAsks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := limit.New()
		fail(t, g, &llm.Error{Kind: llm.Throttled, RetryAfter: 20 * time.Second, Message: "slow down"})
		state := g.State()
		require.Equal(t, llm.Throttled, state.Kind)
		require.Equal(t, "slow down", state.Message)
		require.Equal(t, 20*time.Second, time.Until(state.Until))

		begun := time.Now()
		require.NoError(t, g.Enter(t.Context()))
		require.Equal(t, 20*time.Second, time.Since(begun))
		require.False(t, g.State().Closed())
	})
}

func TestAProviderThatDoesNotSayHowLongIsAskedLessAndLessOften(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := limit.New()
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
		g := limit.New()
		for range 10 {
			require.NoError(t, g.Enter(t.Context()))
		}
		g.Leave(&llm.Error{Kind: llm.Throttled, RetryAfter: time.Second})
		for range 9 {
			g.Leave(nil)
		}
		time.Sleep(2 * time.Second)
		require.Equal(t, 6, admitted(t, g), "half of what was in flight, and a little for each answer since")
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
			if g.Enter(ctx) == nil {
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
				g := limit.New()
				fail(t, g, &llm.Error{Kind: kind, Message: "no"})
				require.Equal(t, kind, g.State().Kind)
				time.Sleep(time.Hour)
				require.Equal(t, 1, admitted(t, g))
				g.Leave(nil)
				require.False(t, g.State().Closed())
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
				g := limit.New()
				var last time.Duration
				for range 12 {
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
		g := limit.New()
		fail(t, g, &llm.Error{Kind: llm.Refused})
		time.Sleep(time.Minute)
		require.NoError(t, g.Enter(t.Context()))
		g.Leave(context.Canceled)
		require.NoError(t, g.Enter(t.Context()))
		g.Leave(nil)
		require.False(t, g.State().Closed())
	})
}

func TestEnterReturnsWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := limit.New()
		fail(t, g, &llm.Error{Kind: llm.Throttled, RetryAfter: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, g.Enter(ctx), context.DeadlineExceeded)
	})
}

func TestAnErrorOfOneRequestSaysNothingOfTheProvider(t *testing.T) {
	t.Parallel()
	g := limit.New()
	for _, err := range []error{
		&llm.Error{Kind: llm.Permanent, Status: 400}, &llm.Error{Kind: llm.Transient, Status: 500}, errors.New("other"), nil,
	} {
		require.NoError(t, g.Enter(t.Context()))
		g.Leave(err)
		require.False(t, g.State().Closed())
	}
}

// fail enters, waiting if need be, and leaves with an error.
func fail(t *testing.T, g *limit.Gate, err *llm.Error) {
	t.Helper()
	require.NoError(t, g.Enter(t.Context()))
	g.Leave(err)
}

// BenchmarkGate measures what an open gate costs a call.
func BenchmarkGate(b *testing.B) {
	g := limit.New()
	ctx := b.Context()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if g.Enter(ctx) == nil {
				g.Leave(nil)
			}
		}
	})
}
