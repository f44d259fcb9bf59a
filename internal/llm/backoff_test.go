package llm_test

import (
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/llm"
)

// ceiling is the longest wait after an attempt, without the limits of machine
// numbers.
func ceiling(b llm.Backoff, attempt int) time.Duration {
	if attempt > 64 && b.Base > 0 {
		return b.Max
	}
	doubled := new(big.Int).Lsh(big.NewInt(int64(b.Base)), uint(min(attempt, 64)-1))
	if longest := big.NewInt(int64(b.Max)); doubled.Cmp(longest) > 0 {
		return b.Max
	}
	return time.Duration(doubled.Int64())
}

func TestABackoffStaysBetweenZeroAndItsCeiling(t *testing.T) {
	t.Parallel()
	const longest = int64(10 * 365 * 24 * time.Hour)
	rapid.Check(t, func(t *rapid.T) {
		b := llm.Backoff{
			Base: time.Duration(rapid.Int64Range(0, longest).Draw(t, "base")),
			Max:  time.Duration(rapid.Int64Range(0, longest).Draw(t, "max")),
		}
		attempt := rapid.OneOf(rapid.IntRange(1, 70), rapid.IntRange(1, math.MaxInt)).Draw(t, "attempt")
		for range 20 {
			wait := b.After(attempt)
			require.GreaterOrEqual(t, wait, time.Duration(0))
			require.LessOrEqual(t, wait, ceiling(b, attempt))
		}
	})
}

func TestABackoffDoublesItsCeilingUpToTheLongest(t *testing.T) {
	t.Parallel()
	b := llm.Backoff{Base: time.Second, Max: 30 * time.Second}
	for attempt, want := range map[int]time.Duration{
		1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 5: 16 * time.Second, 6: 30 * time.Second, 7: 30 * time.Second,
		40: 30 * time.Second, math.MaxInt: 30 * time.Second,
	} {
		require.Equal(t, want, ceiling(b, attempt), "the property test's own ceiling")
		var longest time.Duration
		for range 1000 {
			longest = max(longest, b.After(attempt))
		}
		require.LessOrEqual(t, longest, want)
		require.Greater(t, longest, want*9/10, "attempt %d: a thousand draws come near the ceiling", attempt)
	}
}

// TestJitterIsFull holds each tenth of the range to a tenth of the draws, give
// or take seven standard deviations.
func TestJitterIsFull(t *testing.T) {
	t.Parallel()
	const draws, tenths = 10_000, 10
	b := llm.Backoff{Base: time.Second, Max: time.Hour}
	var hits [tenths]int
	for range draws {
		hits[min(int(b.After(4)*tenths/(8*time.Second)), tenths-1)]++
	}
	for tenth, n := range hits {
		require.InDelta(t, draws/tenths, n, 7*30, "tenth %d of %v", tenth, hits)
	}
}

func TestTheDefaultBackoffGoesOnLongerThanTheSDKs(t *testing.T) {
	t.Parallel()
	require.Equal(t, 500*time.Millisecond, ceiling(llm.DefaultBackoff, 1))
	require.Equal(t, 8*time.Second, ceiling(llm.DefaultBackoff, 5), "where the SDKs stop")
	require.Equal(t, 30*time.Second, ceiling(llm.DefaultBackoff, 7))
}
