package e2e_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/simulator"
)

// TestTheAPIWorksWhileNoWorkerIsUp creates, reads, lists and cancels batches
// that nobody carries out, and reads one whose worker has been killed.
func TestTheAPIWorksWhileNoWorkerIsUp(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	_, address := devTemporal(t, t.TempDir(), freePort(t), up.URL())
	register(t, address, ownNamespace)
	c := newCluster(t, address, ownNamespace)
	s := &system{url: c.url, upstream: up}
	require.Equal(t, http.StatusOK, s.send(t, http.MethodGet, "/readyz", "").status)

	input := requests(5) + request("slow", "No worker", `,"user":"sim:latency=3s"`) + "\n"
	first := s.create(t, s.upload(t, input), `,"metadata":{"n":"1"}`)
	second := s.create(t, s.upload(t, requests(5)), "")
	require.Equal(t, []string{second, first}, s.page(t, "/v1/batches").ids)
	require.Equal(t, "validating", s.batch(t, first)["status"])
	require.Equal(t, map[string]any{"n": "1"}, s.batch(t, first)["metadata"])
	require.Empty(t, s.get(t, "/v1/batches/"+first+"/results").body)
	cancelled := s.send(t, http.MethodPost, "/v1/batches/"+second+"/cancel", "")
	require.Equal(t, "cancelling", cancelled.object(t)["status"])
	require.Equal(t, "cancelling", s.batch(t, second)["status"], "and stays so for the next who looks")

	worker := c.worker(up.URL())
	require.Equal(t, "cancelled", s.until(t, second, "cancelled", "completed")["status"])
	eventually(t, func() bool { return results(t, s, first) == 5 }, "the quick calls do not finish")
	worker.kill()
	require.Equal(t, 5, results(t, s, first), "what is in the store can be read without a worker")
	require.Equal(t, "in_progress", s.batch(t, first)["status"])
	require.Equal(t, []string{second, first}, s.page(t, "/v1/batches").ids)

	c.worker(up.URL())
	b := s.until(t, first, "completed", "failed")
	require.Equal(t, map[string]int64{"total": 6, "completed": 6, "failed": 0}, counts(t, b))
	require.Equal(t, "r-1", ids(t, s.content(t, b, "output_file_id"))[0])
	require.Equal(t, int64(7), up.Stats().Calls, "only the call that was in flight is made again")
}
