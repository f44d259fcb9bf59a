package e2e_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/simulator"
)

// TestCountsAndResultsGrowWhileABatchRuns has calls enough for two seconds, and
// looks until the end.
func TestCountsAndResultsGrowWhileABatchRuns(t *testing.T) {
	t.Parallel()
	const n = 200
	s := alone(t)
	require.NoError(t, s.upstream.Set(simulator.Options{Latency: latency(t, "40ms")}))
	id := s.create(t, s.upload(t, requests(n)), `,"headrace":{"max_concurrency":4}`)
	var seen []int64 // different counts of finished requests, while it ran
	partial := false
	eventually(t, func() bool {
		b := s.batch(t, id)
		if b["status"] != "in_progress" {
			return b["status"] == "completed"
		}
		c := counts(t, b)
		require.Equal(t, int64(n), c["total"], "known from the start")
		require.LessOrEqual(t, c["completed"], int64(n))
		if len(seen) == 0 || seen[len(seen)-1] != c["completed"] {
			seen = append(seen, c["completed"])
		}
		got := results(t, s, id)
		partial = partial || got > 0 && got < n
		return false
	}, "the batch does not complete")
	require.True(t, slices.IsSorted(seen), "counts never fall: %v", seen)
	require.GreaterOrEqual(t, len(seen), 3, "%v", seen)
	require.True(t, partial, "results can be read before the end")

	b := s.batch(t, id)
	require.Equal(t, map[string]int64{"total": n, "completed": n, "failed": 0}, counts(t, b))
	require.Equal(t, s.content(t, b, "output_file_id"), string(s.get(t, "/v1/batches/"+id+"/results").body))
}

// results is the number of results that a batch shows, each of which must be
// whole and there once, in input order.
func results(t *testing.T, s *system, id string) int {
	t.Helper()
	r := s.get(t, "/v1/batches/"+id+"/results")
	require.Equal(t, "application/jsonl", r.header.Get("Content-Type"))
	got := ids(t, string(r.body))
	distinct := slices.Clone(got)
	slices.Sort(distinct)
	require.Len(t, slices.Compact(distinct), len(got))
	return len(got)
}

func TestResultsHoldAnswersAndErrorsTogetherInOrder(t *testing.T) {
	t.Parallel()
	s := shared(t)
	b := s.process(t, mixed())
	require.Equal(t, "completed", b["status"])
	path := "/v1/batches/" + b["id"].(string) + "/results"
	require.Equal(t, []string{"good-1", "bad-1", "good-2", "bad-2", "bad-3", "good-3"}, ids(t, string(s.get(t, path).body)))

	failed := s.process(t, "nonsense\n")
	require.Empty(t, s.get(t, "/v1/batches/"+failed["id"].(string)+"/results").body)
}

// TestABatchTellsWhatItWaitsFor has providers that answer nobody.
func TestABatchTellsWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	for reason, o := range map[string]simulator.Options{
		"refused": {APIKey: "sk-right"}, "exhausted": {Faults: simulator.Faults{Quota: 1}}, "rate_limited": {RPM: 12, RPMBurst: 1},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			s := alone(t)
			require.NoError(t, s.upstream.Set(o))
			id := s.create(t, s.upload(t, requests(3)), "")
			var waiting map[string]any
			eventually(t, func() bool {
				waiting, _ = s.batch(t, id)["headrace"].(map[string]any)["waiting_on"].(map[string]any)
				return waiting != nil
			}, "the batch does not wait")
			require.Equal(t, reason, waiting["reason"])
			require.NotEmpty(t, waiting["message"])
			require.NotNil(t, waiting["since"])
			require.Contains(t, waiting, "until")
			require.Equal(t, int64(0), counts(t, s.batch(t, id))["failed"], "no request fails for it")

			require.NoError(t, s.upstream.Set(simulator.Options{}))
			b := s.until(t, id, "completed")
			require.Equal(t, int64(3), counts(t, b)["completed"], "it goes on by itself")
			require.Nil(t, b["headrace"].(map[string]any)["waiting_on"])
		})
	}
}
