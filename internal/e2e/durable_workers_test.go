package e2e_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
)

// ownNamespace is where clusters live that use the Temporal of a dev.
const ownNamespace = "cluster"

// twoWorkers are two workers of one cluster, each with its own door to the
// provider.
type twoWorkers struct {
	*cluster
	up        *simulator.Running
	witness   *witness
	processes [2]*process
	doors     [2]*door
}

func startTwoWorkers(t *testing.T, o simulator.Options) *twoWorkers {
	t.Helper()
	up := sim(t, o)
	_, address := devTemporal(t, t.TempDir(), freePort(t), up.URL())
	register(t, address, ownNamespace)
	w := &twoWorkers{cluster: newCluster(t, address, ownNamespace), up: up, witness: watch(t, up.Simulator)}
	for i := range w.processes {
		w.doors[i] = newDoor(t, up.Simulator)
		w.processes[i] = w.worker(w.doors[i].url)
	}
	return w
}

// busier is the worker that has made more calls, and the other one.
func (w *twoWorkers) busier() (busier, other int) {
	if w.doors[1].calls.Load() > w.doors[0].calls.Load() {
		return 1, 0
	}
	return 0, 1
}

func TestTheLanesOfAKilledWorkerGoToAnother(t *testing.T) {
	t.Parallel()
	const n, concurrency = 6000, 256
	w := startTwoWorkers(t, simulator.Options{Latency: latency(t, "uniform:50ms,150ms")})
	o := submit(t, w.url, requests(n), concurrently(concurrency))
	w.witness.awaitCalls(0, n/4)
	busier, other := w.busier()
	made := w.doors[other].calls.Load()
	allowed := w.witness.kill(w.processes[busier], concurrency)
	o = awaitEnd(t, w.url, o.ID, openai.Completed)
	answers, _ := requireEach(t, w.url, o, n)
	require.Len(t, answers, n)
	require.Greater(t, w.doors[other].calls.Load(), made)
	w.witness.requireRepeatedAtMost(allowed, n)
}

func TestAWorkerThatWakesUpAfterItsLaneHasMovedCommitsNothing(t *testing.T) {
	t.Parallel()
	const n = 2000
	w := startTwoWorkers(t, simulator.Options{Latency: latency(t, "uniform:100ms,300ms")})
	o := submit(t, w.url, requests(n), concurrently(laneHands))
	w.witness.awaitCalls(0, n/4)
	busier, other := w.busier()
	require.Zero(t, w.doors[other].calls.Load(), "one lane, one worker")
	stopped := time.Now()
	w.processes[busier].signal(syscall.SIGSTOP)
	allowed := laneHands + w.witness.finishedSince(stopped.Add(-unsafe))
	poll(t, "the lane to move", func() bool { return w.doors[other].calls.Load() > laneHands })
	made := w.doors[busier].calls.Load()
	w.processes[busier].signal(syscall.SIGCONT)

	o = awaitEnd(t, w.url, o.ID, openai.Completed)
	answers, _ := requireEach(t, w.url, o, n)
	require.Len(t, answers, n)
	// Calls that were about to be sent when the worker fell asleep are sent when
	// it wakes up; hands whose calls came back meanwhile start no more.
	const about = laneHands / 8
	require.LessOrEqual(t, w.doors[busier].calls.Load()-made, int64(about), "who may have lost his lane starts no call")
	w.witness.requireRepeatedAtMost(allowed, n)
}

func TestABatchWaitsForAWorker(t *testing.T) {
	t.Parallel()
	const n = 300
	up := sim(t, simulator.Options{})
	_, address := devTemporal(t, t.TempDir(), freePort(t), up.URL())
	register(t, address, ownNamespace)
	c := newCluster(t, address, ownNamespace)
	o := submit(t, c.url, requests(n), concurrently(laneHands))
	validating := func(o batch.Object) bool { return o.Status == openai.Validating }
	awaitBatch(t, c.url, o.ID, validating)
	c.worker(up.URL())
	o = awaitEnd(t, c.url, o.ID, openai.Completed)
	requireEach(t, c.url, o, n)
	require.EqualValues(t, n, up.Stats().Calls)
}
