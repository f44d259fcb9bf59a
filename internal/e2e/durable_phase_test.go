package e2e_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
)

// TestAKillAtEitherEndOfABatchCostsSeconds kills while the input is validated
// and while the output is put together, as far as chance allows: there is no
// call then by which a test could tell.
func TestAKillAtEitherEndOfABatchCostsSeconds(t *testing.T) {
	t.Parallel()
	const n, times, within = 2000, 3, 60 * time.Millisecond
	up := sim(t, simulator.Options{})
	dir := t.TempDir()
	p, url := dev(t, dir, up.URL())
	for i := range 2 * times {
		up.ResetStats()
		o := submit(t, url, requests(n), concurrently(laneHands))
		end := i%2 == 1
		if end {
			poll(t, "the last call", func() bool { return up.Stats().Succeeded >= n })
		}
		lasts(t, rand.N(within))
		p.kill()
		calls := up.Stats().Calls
		begun := time.Now()
		p, url = dev(t, dir, up.URL())
		o = awaitEnd(t, url, o.ID, openai.Completed)
		took := time.Since(begun)
		t.Logf("killed after %d calls, completed %v after the restart", calls, took.Round(time.Millisecond))
		require.Less(t, took, 2*flowAgain, "killed after %d calls", calls)
		requireEach(t, url, o, n)
	}
}
