package e2e_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/devserver"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
)

func TestLanesSpreadOverWorkers(t *testing.T) {
	t.Parallel()
	const workers, tries = 4, 10
	if b := os.Getenv("BIN"); b != "" {
		binary = b
	}
	up := sim(t, simulator.Options{Latency: latency(t, "500ms")})
	c := newCluster(t, devServer(t, devserver.Options{}), devserver.DefaultNamespace)
	for range workers {
		c.worker(up.URL())
	}
	for _, lanes := range []int{4, 8, 16} {
		mostSum := 0
		dist := map[string]int{}
		for range tries {
			o := submit(t, c.url, requests(lanes*laneHands), concurrently(lanes*laneHands))
			_ = o
			o = awaitEnd(t, c.url, o.ID, openai.Completed)
			counts := map[string]int{}
			names := map[int64]string{}
			for _, h := range c.histories(o.ID) {
				for _, e := range h.GetEvents() {
					if a := e.GetActivityTaskScheduledEventAttributes(); a != nil {
						names[e.GetEventId()] = a.GetActivityType().GetName()
					}
					if a := e.GetActivityTaskStartedEventAttributes(); a != nil && names[a.GetScheduledEventId()] == "Work" {
						counts[a.GetIdentity()]++
					}
				}
			}
			most, sum := 0, 0
			for _, n := range counts {
				most, sum = max(most, n), sum+n
			}
			mostSum += most
			dist[fmt.Sprint(len(counts), " workers, most ", most, " of ", sum)]++
		}
		t.Log(lanes, float64(mostSum)/tries, dist)
	}
	require.True(t, true)
}
