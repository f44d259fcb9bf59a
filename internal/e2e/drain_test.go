package e2e_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/devserver"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
)

// TestAWorkerThatIsToldToStopHandsBackWhatItHasNotBegun stops the worker that has
// all lanes of a batch, while each call takes long.
func TestAWorkerThatIsToldToStopHandsBackWhatItHasNotBegun(t *testing.T) {
	t.Parallel()
	const n, hands = 600, 2 * laneHands
	up := sim(t, simulator.Options{Latency: latency(t, "uniform:1s,6s")})
	c := newCluster(t, devServer(t, devserver.Options{}), devserver.DefaultNamespace)
	doors := [2]*door{newDoor(t, up.Simulator), newDoor(t, up.Simulator)}
	first := c.worker(doors[0].url)
	o := submit(t, c.url, requests(n), concurrently(hands))
	poll(t, "calls of all hands", func() bool { return up.Stats().InFlight == hands })
	c.worker(doors[1].url)

	signalled, before := time.Now(), up.Stats().Succeeded
	first.signal(syscall.SIGTERM)
	poll(t, "calls elsewhere", func() bool { return doors[1].calls.Load() > 0 })
	t.Logf("the first call elsewhere %v after the signal", time.Since(signalled).Round(time.Millisecond))
	ended := up.Stats().Succeeded - before
	t.Logf("%d of %d calls had ended", ended, hands)
	require.Less(t, ended, int64(hands*3/4), "nobody waits for all calls of a lane")
	require.Zero(t, first.wait())
	t.Logf("the worker has ended %v after the signal", time.Since(signalled).Round(time.Millisecond))

	o = awaitEnd(t, c.url, o.ID, openai.Completed)
	answers, _ := requireEach(t, c.url, o, n)
	require.Len(t, answers, n)
	stats := up.Stats()
	require.EqualValues(t, n, stats.Calls, "no call is made twice")
	require.LessOrEqual(t, stats.PeakInFlight, int64(hands))
}

// TestCallsFlowSoonAfterTemporalIsBack takes Temporal away as an upgrade of it does.
func TestCallsFlowSoonAfterTemporalIsBack(t *testing.T) {
	t.Parallel()
	const n, away = 8000, 5 * time.Second
	up := sim(t, simulator.Options{Latency: latency(t, "uniform:50ms,150ms")})
	w, dir, port := watch(t, up.Simulator), t.TempDir(), freePort(t)
	p, address := devTemporal(t, dir, port, up.URL())
	register(t, address, ownNamespace)
	c := newCluster(t, address, ownNamespace)
	for range 2 {
		c.worker(up.URL())
	}
	o := submit(t, c.url, requests(n), concurrently(2*laneHands))
	w.awaitCalls(0, n/8)
	p.signal(syscall.SIGTERM)
	require.Zero(t, p.wait())
	lasts(t, away)
	devTemporal(t, dir, port, up.URL())
	back := time.Now()
	w.awaitCalls(up.Stats().Calls, 1)
	took := time.Since(back)
	t.Logf("calls flow %v after Temporal is back", took.Round(time.Millisecond))
	o = awaitEnd(t, c.url, o.ID, openai.Completed)
	requireEach(t, c.url, o, n)
	require.Less(t, took, flowAgain)
}
