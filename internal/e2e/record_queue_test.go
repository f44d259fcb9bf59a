package e2e_test

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/headrace/headrace/workflows"
)

// TestRecordQueueHistories is no test, see TestRecordHistories. It records a queue
// with limits whose workers come, die and leave, and one without limits.
func TestRecordQueueHistories(t *testing.T) {
	t.Parallel()
	dir := recordings(t)
	s := newStage(t, "queues")
	calls := &system{url: s.url, upstream: s.up}
	calls.queue(t, http.MethodPut, "limited", `{"concurrency":3,"rpm":6000,"tpm":6000000}`)
	another := s.worker(s.up.URL())
	ids := calls.inQueue(t, "limited", 60, "Limited")
	watch(t, s.up.Simulator).awaitCalls(0, 10)
	another.kill()
	calls.queue(t, http.MethodPatch, "limited", `{"paused":true}`)
	poll(t, "rest", func() bool { return s.up.Stats().InFlight == 0 })
	calls.queue(t, http.MethodPatch, "limited", `{"paused":false,"concurrency":10}`)
	for _, id := range append(ids, calls.inQueue(t, "open", 5, "Open")...) {
		calls.completed(t, id)
	}
	poll(t, "the lease to go back", func() bool {
		return len(calls.queue(t, http.MethodGet, "limited", "").Get("workers").Array()) == 0
	})
	for _, name := range []string{"limited", "open"} {
		saveHistory(t, filepath.Join(dir, "queue_"+name+".json"), s.historySoFar(workflows.QueueID(name)))
	}
}
