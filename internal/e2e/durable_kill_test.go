package e2e_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
)

// kills is how often everything is killed within one batch, each time within
// so many calls of the last restart.
const (
	kills       = 4
	killWithin  = 500
	killedBatch = 3000
)

func TestABatchOutlivesKillsOfTheWholeService(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{Latency: latency(t, "uniform:50ms,150ms")})
	w, dir := watch(t, up.Simulator), t.TempDir()
	p, url := dev(t, dir, up.URL())
	o := submit(t, url, requests(killedBatch), concurrently(laneHands))
	var allowed, before int64
	for range kills {
		w.awaitCalls(before, rand.Int64N(killWithin))
		allowed += w.kill(p, laneHands)
		before = up.Stats().Calls
		begun := time.Now()
		p, url = dev(t, dir, up.URL())
		w.requireFlow(before, begun)
	}
	o = awaitEnd(t, url, o.ID, openai.Completed)
	answers, _ := requireEach(t, url, o, killedBatch)
	require.Len(t, answers, killedBatch)
	w.requireRepeatedAtMost(allowed, killedBatch)
}

// requireFlow waits until there are more calls than before, and checks that
// this is soon after the restart that has begun then.
func (w *witness) requireFlow(before int64, begun time.Time) {
	w.t.Helper()
	w.awaitCalls(before, 1)
	took := time.Since(begun)
	w.t.Logf("calls flow %v after the restart", took.Round(time.Millisecond))
	require.Less(w.t, took, flowAgain)
}

func TestABatchOutlivesKillsOfServicesThatHaveHardlyStarted(t *testing.T) {
	t.Parallel()
	const n, times, within = 1000, 6, 1500 * time.Millisecond
	up := sim(t, simulator.Options{Latency: latency(t, "uniform:50ms,150ms")})
	dir := t.TempDir()
	abort := func() {
		p := start(t, nil, "dev", "--listen", "127.0.0.1:0", "--temporal-port", "0", "--ui-port", "0", "--data", dir, "--upstream", up.URL())
		lasts(t, rand.N(within))
		p.kill()
	}
	for range times {
		abort() // some of them while the database is made
	}
	p, url := dev(t, dir, up.URL())
	o := submit(t, url, requests(n), concurrently(laneHands))
	p.kill()
	for range times {
		abort()
	}
	_, url = dev(t, dir, up.URL())
	o = awaitEnd(t, url, o.ID, openai.Completed)
	answers, _ := requireEach(t, url, o, n)
	require.Len(t, answers, n)
}

func TestARunOutlivesKillsAndGoesOnWhenStartedAgain(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{Latency: latency(t, "uniform:50ms,150ms")})
	w, dir := watch(t, up.Simulator), t.TempDir()
	output := filepath.Join(dir, "out.jsonl")
	args := []string{"run", write(t, "in.jsonl", requests(killedBatch)), "-o", output, "--data", filepath.Join(dir, "data"), "--upstream", up.URL()}
	p := start(t, nil, args...)
	w.awaitCalls(0, 1)
	var allowed int64
	for range kills {
		before := up.Stats().Calls
		w.awaitCalls(before, rand.Int64N(killWithin))
		allowed += w.kill(p, laneHands)
		require.NoFileExists(t, output, "nobody sees a part of the output")
		before = up.Stats().Calls
		begun := time.Now()
		p = start(t, nil, args...)
		w.requireFlow(before, begun)
		require.Contains(t, p.stderr.String(), "Going on with batch_")
	}
	require.Equal(t, 0, p.wait())
	requireAllOnce(t, inputLines(t, fileLines(t, output)), killedBatch)
	w.requireRepeatedAtMost(allowed, killedBatch)

	calls := up.Stats().Calls
	require.Equal(t, 0, start(t, nil, args...).wait(), "a run that has finished can be repeated")
	require.Equal(t, calls, up.Stats().Calls, "and calls nothing")
}

// fileLines are those of a file.
func fileLines(t *testing.T, path string) []string {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	return lines(t, f)
}
