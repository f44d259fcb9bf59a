package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/history/v1"

	"github.com/headrace/headrace/internal/devserver"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
	"github.com/headrace/headrace/workflows"
)

// TestLanesSpreadOverWorkers looks at several batches together: which worker asks
// first for a lane is chance, but none gets nearly all of them.
func TestLanesSpreadOverWorkers(t *testing.T) {
	t.Parallel()
	const workers, tries, lanes = 4, 6, 8
	up := sim(t, simulator.Options{Latency: latency(t, "500ms")})
	c := newCluster(t, devServer(t, devserver.Options{}), devserver.DefaultNamespace)
	for range workers {
		c.worker(up.URL())
	}
	most, all := 0, 0
	for range tries {
		o := submit(t, c.url, requests(lanes*laneHands), concurrently(lanes*laneHands))
		awaitEnd(t, c.url, o.ID, openai.Completed)
		counts := map[string]int{}
		for _, h := range c.histories(o.ID) {
			countLanes(h, counts)
		}
		share := 0
		for _, n := range counts {
			share = max(share, n)
			all += n
		}
		t.Logf("lanes by worker: %v", counts)
		most += share
	}
	require.Equal(t, tries*lanes, all)
	require.LessOrEqual(t, most, all/2, "the worker that has most of a batch has half of its lanes at most, on average")
}

// countLanes counts the lanes of a run by the worker that they were at.
func countLanes(h *history.History, counts map[string]int) {
	names := map[int64]string{}
	for _, e := range h.GetEvents() {
		if a := e.GetActivityTaskScheduledEventAttributes(); a != nil {
			names[e.GetEventId()] = a.GetActivityType().GetName()
		}
		if a := e.GetActivityTaskStartedEventAttributes(); a != nil && names[a.GetScheduledEventId()] == workflows.NameLane {
			counts[a.GetIdentity()]++
		}
	}
}
