package simulator_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/simulator"
)

// grant is what a bucket gave at a time.
type grant struct {
	at time.Duration
	n  int64
}

func TestABucketNeverGrantsMoreThanItsBurstAndItsRateInAnyWindow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Int64Range(1, 1_000_000_000).Draw(t, "rate")
		burst := rapid.Int64Range(1, 100_000).Draw(t, "burst")
		bucket := simulator.NewTestBucket(rate, burst)
		var (
			now    time.Duration
			grants []grant
		)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += time.Duration(rapid.Int64Range(0, int64(10*time.Second)).Draw(t, "pause"))
			n := rapid.Int64Range(1, burst+1).Draw(t, "n")
			granted, wait, ever := bucket.Take(now, n)
			require.Equal(t, n <= burst, ever)
			require.Equal(t, granted, ever && wait == 0)
			if granted {
				grants = append(grants, grant{now, n})
			}
		}
		requireBounded(t, grants, rate, burst)
	})
}

// requireBounded checks every window that starts and ends with a grant.
func requireBounded(t *rapid.T, grants []grant, rate, burst int64) {
	for i := range grants {
		var sum int64
		for _, g := range grants[i:] {
			sum += g.n
			// The bucket's clock has whole microseconds.
			window := g.at.Microseconds() - grants[i].at.Microseconds()
			const minute = int64(time.Minute / time.Microsecond)
			require.LessOrEqual(t, (sum-burst)*minute, window*rate, "from %v to %v", grants[i].at, g.at)
		}
	}
}

func TestWhoWaitsAsLongAsABucketSaysIsGranted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Int64Range(1, 100_000_000).Draw(t, "rate")
		burst := rapid.Int64Range(1, 1_000_000).Draw(t, "burst")
		bucket := simulator.NewTestBucket(rate, burst)
		granted, _, _ := bucket.Take(0, rapid.Int64Range(1, burst).Draw(t, "first"))
		require.True(t, granted, "a bucket starts full")
		n := rapid.Int64Range(1, burst).Draw(t, "second")
		granted, wait, _ := bucket.Take(0, n)
		if granted {
			return
		}
		granted, _, _ = bucket.Take(wait-time.Microsecond, n)
		require.False(t, granted, "the wait is not longer than it must be")
		granted, _, _ = bucket.Take(wait, n)
		require.True(t, granted)
	})
}

func TestABucketRefillsContinuouslyUpToItsBurst(t *testing.T) {
	t.Parallel()
	bucket := simulator.NewTestBucket(60, 0)
	granted, _, _ := bucket.Take(0, 60)
	require.True(t, granted, "without a burst a bucket holds one minute's worth")
	require.Zero(t, bucket.Remaining())
	require.Equal(t, time.Minute, bucket.Reset())

	granted, wait, _ := bucket.Take(0, 1)
	require.False(t, granted)
	require.Equal(t, time.Second, wait)
	granted, _, _ = bucket.Take(time.Second, 1)
	require.True(t, granted)

	granted, _, _ = bucket.Take(time.Hour, 60)
	require.True(t, granted)
	granted, _, _ = bucket.Take(time.Hour, 1)
	require.False(t, granted, "an hour saved up no more than the burst")

	granted, _, _ = bucket.Take(time.Minute, 1)
	require.False(t, granted, "a clock that steps back brings nothing")
}

func TestTheLargestBucketDoesNotOverflow(t *testing.T) {
	t.Parallel()
	const most = 100_000_000_000
	slow := simulator.NewTestBucket(1, most)
	granted, _, _ := slow.Take(0, most)
	require.True(t, granted)
	_, wait, ever := slow.Take(0, most)
	require.True(t, ever)
	require.Greater(t, wait, 100*365*24*time.Hour)

	fast := simulator.NewTestBucket(most, most)
	granted, _, _ = fast.Take(0, most)
	require.True(t, granted)
	granted, _, _ = fast.Take(200*365*24*time.Hour, most)
	require.True(t, granted)
	require.Zero(t, fast.Remaining())
}
