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
// the only lane of a batch, while each call takes long.
func TestAWorkerThatIsToldToStopHandsBackWhatItHasNotBegun(t *testing.T) {
	t.Parallel()
	const n = 300
	up := sim(t, simulator.Options{Latency: latency(t, "uniform:1s,8s")})
	c := newCluster(t, devServer(t, devserver.Options{}), devserver.DefaultNamespace)
	doors := [2]*door{newDoor(t, up.Simulator), newDoor(t, up.Simulator)}
	first := c.worker(doors[0].url)
	o := submit(t, c.url, requests(n), concurrently(laneHands))
	poll(t, "calls of all hands", func() bool { return up.Stats().InFlight == laneHands })
	c.worker(doors[1].url)

	signalled := time.Now()
	first.signal(syscall.SIGTERM)
	poll(t, "calls elsewhere", func() bool { return doors[1].calls.Load() > 0 })
	t.Logf("the first call elsewhere %v after the signal", time.Since(signalled).Round(time.Millisecond))
	require.False(t, first.hasEnded(), "nobody waits for the calls in flight")
	require.Zero(t, first.wait())
	t.Logf("the worker has ended %v after the signal", time.Since(signalled).Round(time.Millisecond))

	o = awaitEnd(t, c.url, o.ID, openai.Completed)
	answers, _ := requireEach(t, c.url, o, n)
	require.Len(t, answers, n)
	stats := up.Stats()
	require.EqualValues(t, n, stats.Calls, "no call is made twice")
	require.LessOrEqual(t, stats.PeakInFlight, int64(laneHands))
}

// hasEnded reports whether the process has ended.
func (p *process) hasEnded() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
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
