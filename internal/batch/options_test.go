package batch_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/batch"
)

func TestLanesAreAsFewAndAsEvenAsCanBe(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o := batch.DefaultOptions()
		o.MaxConcurrency = rapid.IntRange(1, batch.MaxConcurrencyLimit).Draw(t, "max_concurrency")
		requests := rapid.OneOf(rapid.Int64Range(1, 200), rapid.Int64Range(1, 1<<62)).Draw(t, "requests")
		lanes := o.Lanes(requests)

		sum := 0
		for _, hands := range lanes {
			sum += hands
		}
		want := int(min(int64(o.MaxConcurrency), requests))
		require.Equal(t, want, sum)
		require.Len(t, lanes, (want+batch.HandsPerLane-1)/batch.HandsPerLane)
		require.GreaterOrEqual(t, slices.Min(lanes), 1)
		require.LessOrEqual(t, slices.Max(lanes), batch.HandsPerLane)
		require.LessOrEqual(t, slices.Max(lanes)-slices.Min(lanes), 1)
	})
}

func TestLanesOfSomeBatches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		concurrency int
		requests    int64
		want        []int
	}{
		{1, 1_000_000, []int{1}}, {64, 1_000_000, []int{64}}, {65, 1_000_000, []int{33, 32}}, {100, 1_000_000, []int{50, 50}},
		{256, 1_000_000, []int{64, 64, 64, 64}}, {256, 3, []int{3}}, {256, 130, []int{44, 43, 43}}, {64, 0, []int{1}},
	} {
		o := batch.Options{MaxConcurrency: c.concurrency}
		require.Equal(t, c.want, o.Lanes(c.requests), "%d at once of %d", c.concurrency, c.requests)
	}
}

func TestOptionsAreJSONAsClientsWriteIt(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal(batch.DefaultOptions())
	require.NoError(t, err)
	require.Equal(t, `{"max_concurrency":64,"max_attempts":5,"timeout":"10m0s","priority":-50}`, string(got)) //nolint:testifylint // the order of keys counts too
	o := batch.DefaultOptions()
	require.NoError(t, json.Unmarshal([]byte(`{"max_concurrency":7,"timeout":"90s"}`), &o))
	require.Equal(t, batch.Options{
		MaxConcurrency: 7, MaxAttempts: 5, Timeout: batch.Duration(90e9), Priority: new(batch.PriorityBatch),
	}, o)
}
