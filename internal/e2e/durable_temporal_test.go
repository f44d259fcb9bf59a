package e2e_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/devserver"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
)

// Outages during which lanes are not missed, and during which Temporal gives
// them up.
const (
	shortOutage = 2 * time.Second
	longOutage  = 8 * time.Second
)

func TestABatchGoesOnWhenTemporalComesBack(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]time.Duration{
		"before lanes are missed": shortOutage, "after they are": longOutage,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testOutage(t, away)
		})
	}
}

// testOutage takes Temporal away from a cluster in the middle of a batch.
func testOutage(t *testing.T, away time.Duration) {
	t.Helper()
	const n, hands = 5000, 2 * laneHands
	up := sim(t, simulator.Options{Latency: latency(t, "uniform:50ms,150ms")})
	w, dir, port := watch(t, up.Simulator), t.TempDir(), freePort(t)
	p, address := devTemporal(t, dir, port, up.URL())
	register(t, address, ownNamespace)
	c := newCluster(t, address, ownNamespace)
	for range 2 {
		c.worker(up.URL())
	}
	o := submit(t, c.url, requests(n), concurrently(hands))
	w.awaitCalls(0, n/4)
	allowed := w.kill(p, hands)
	lasts(t, away)
	before := up.Stats().Calls
	t.Logf("%d of %d calls made when Temporal comes back", before, n)
	devTemporal(t, dir, port, up.URL())

	o = awaitEnd(t, c.url, o.ID, openai.Completed)
	answers, _ := requireEach(t, c.url, o, n)
	require.Len(t, answers, n)
	w.requireRepeatedAtMost(allowed, n)
}

// lasts lets time pass that an outage takes.
func lasts(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

func TestABatchCompletesThoughTheDatabaseFails(t *testing.T) {
	t.Parallel()
	const n = 5000
	often := map[devserver.Fault]float64{
		devserver.FaultTimeout: 0.01, devserver.FaultExecuteAndTimeout: 0.02, devserver.FaultUnavailable: 0.02,
		devserver.FaultShardOwnershipLost: 0.005,
	}
	log := newOutput()
	address := devServer(t, devserver.Options{
		Logger: slog.New(slog.NewTextHandler(log, nil)), LongHistory: longHistory,
		Faults: devserver.Faults{Rates: map[string]map[devserver.Fault]float64{
			"UpdateWorkflowExecution": often, "GetWorkflowExecution": often, "AppendHistoryNodes": often,
			"CreateTasks": often, "GetTasks": often, "UpdateShard": often,
		}},
	})
	up := sim(t, simulator.Options{Latency: latency(t, "uniform:50ms,150ms")})
	c := newCluster(t, address, devserver.DefaultNamespace)
	c.worker(up.URL())
	c.worker(up.URL())
	o := submit(t, c.url, requests(n), concurrently(4*laneHands))
	o = awaitEnd(t, c.url, o.ID, openai.Completed)
	answers, _ := requireEach(t, c.url, o, n)
	require.Len(t, answers, n)
	faults := strings.Count(log.String(), "fault injection error")
	require.Positive(t, faults)
	t.Logf("%d calls repeated, faults logged %d times", up.Stats().DuplicateCalls, faults)
}

func TestABatchThatContinuesAsNewIsOneBatch(t *testing.T) {
	t.Parallel()
	const n = 5000
	up := sim(t, simulator.Options{Latency: latency(t, "uniform:20ms,80ms")})
	c := newCluster(t, devServer(t, devserver.Options{LongHistory: longHistory}), devserver.DefaultNamespace)
	c.worker(up.URL())
	o := submit(t, c.url, requests(n), concurrently(4*laneHands))
	o = awaitEnd(t, c.url, o.ID, openai.Completed)
	answers, _ := requireEach(t, c.url, o, n)
	require.Len(t, answers, n)
	require.EqualValues(t, n, up.Stats().Calls, "lanes that make room for the next run finish what they call")
	runs := len(c.histories(o.ID))
	t.Logf("%d runs", runs)
	require.Greater(t, runs, 2)
}
