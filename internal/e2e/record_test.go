package e2e_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	temporal "go.temporal.io/sdk/client"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/client"
	"github.com/headrace/headrace/internal/devserver"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
)

// recordVariable names the release whose histories TestRecordHistories writes.
const recordVariable = "HEADRACE_RECORD"

// TestRecordHistories is no test: it makes the histories that the replay tests
// of workflows read. Run it once for every release, and add to the scenarios
// what the release brings; what earlier releases have left stays as it is:
//
//	HEADRACE_RECORD=v0.1.0 go test ./internal/e2e -run TestRecordHistories
func TestRecordHistories(t *testing.T) {
	t.Parallel()
	dir := recordings(t)
	for name, play := range scenarios() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, name)
			for i, h := range s.histories(play(s)) {
				file := name
				if i > 0 {
					file += "_" + string(rune('1'+i))
				}
				saveHistory(t, filepath.Join(dir, file+".json"), h)
			}
		})
	}
}

// recordings is the folder of the release that is recorded. Without one, the
// test is skipped.
func recordings(t *testing.T) string {
	t.Helper()
	release := os.Getenv(recordVariable)
	if release == "" {
		t.Skip("recording is asked for with " + recordVariable)
	}
	dir := absolute(t, filepath.Join("../../workflows/testdata/replay", release))
	require.NoError(t, os.MkdirAll(dir, 0o755))
	return dir
}

// stage is what a scenario plays on.
type stage struct {
	*cluster
	up   *simulator.Running
	work *process
}

// longHistory makes batches of a few hundred requests continue as new.
const longHistory = 50

func newStage(t *testing.T, name string) *stage {
	t.Helper()
	var o devserver.Options
	if name == "continued" {
		o.LongHistory = longHistory
	}
	up := sim(t, simulator.Options{Latency: latency(t, "50ms")})
	s := &stage{cluster: newCluster(t, devServer(t, o), devserver.DefaultNamespace), up: up}
	s.work = s.worker(up.URL())
	return s
}

// scenarios are lives that a batch can have. Each plays one and returns the
// batch's id.
func scenarios() map[string]func(*stage) string {
	return map[string]func(*stage) string{
		"completed": func(s *stage) string { return s.play(requests(20), concurrently(4), openai.Completed) },
		"two_lanes": func(s *stage) string { return s.play(requests(300), concurrently(128), openai.Completed) },
		"continued": func(s *stage) string { return s.play(requests(3000), concurrently(128), openai.Completed) },
		"failed_requests": func(s *stage) string {
			bad := request("bad-1", "?", `,"user":"sim:status=400"`) + "\n" + request("bad-2", "!", `,"user":"sim:status=422"`)
			return s.play(requests(10)+bad, concurrently(4), openai.Completed)
		},
		"bad_input": func(s *stage) string { return s.play("{}\nnot JSON\n", concurrently(4), openai.Failed) },
		"expired": func(s *stage) string {
			o := concurrently(1)
			o.CompletionWindow = "2s"
			return s.play(requests(100), o, openai.Expired)
		},
		"cancelled": func(s *stage) string { return s.cancelled(gently) },
		"aborted":   func(s *stage) string { return s.cancelled(atOnce) },
		"cancelled_before_a_worker_came": func(s *stage) string {
			s.work.kill()
			o := submit(s.t, s.url, requests(20), concurrently(4))
			cancel(s.t, s.url, o.ID, gently)
			s.worker(s.up.URL())
			return s.end(o, openai.Cancelled)
		},
		"steered": func(s *stage) string {
			o := submit(s.t, s.url, requests(300), concurrently(2))
			poll(s.t, "calls", func() bool { return s.up.Stats().Succeeded > 10 })
			pause(s.t, s.url, o.ID)
			poll(s.t, "rest", func() bool { return s.up.Stats().InFlight == 0 })
			change(s.t, s.url, o.ID, `{"completion_window":"2h","headrace":{"max_concurrency":100}}`)
			resume(s.t, s.url, o.ID)
			poll(s.t, "more hands", func() bool { return s.up.Stats().PeakInFlight > 10 })
			change(s.t, s.url, o.ID, atMost(5))
			return s.end(o, openai.Completed)
		},
		"cancelled_while_paused": func(s *stage) string {
			o := submit(s.t, s.url, requests(100), concurrently(2))
			poll(s.t, "calls", func() bool { return s.up.Stats().Succeeded > 10 })
			pause(s.t, s.url, o.ID)
			poll(s.t, "rest", func() bool { return s.up.Stats().InFlight == 0 })
			cancel(s.t, s.url, o.ID, gently)
			return s.end(o, openai.Cancelled)
		},
		"retried": func(s *stage) string {
			bad := request("bad-1", "?", `,"user":"sim:status=400"`) + "\n"
			id := s.play(requests(10)+bad, concurrently(4), openai.Completed)
			return s.end(steer(s.t, s.url, http.MethodPost, id+"/retry", ""), openai.Completed)
		},
		"worker_killed": func(s *stage) string {
			o := submit(s.t, s.url, requests(100), concurrently(2))
			poll(s.t, "calls", func() bool { return s.up.Stats().Succeeded > 10 })
			s.work.kill()
			s.worker(s.up.URL())
			return s.end(o, openai.Completed)
		},
	}
}

func (s *stage) play(input string, o client.NewBatch, status openai.Status) string {
	s.t.Helper()
	return s.end(submit(s.t, s.url, input, o), status)
}

func (s *stage) cancelled(how string) string {
	s.t.Helper()
	o := submit(s.t, s.url, requests(100), concurrently(2))
	poll(s.t, "calls", func() bool { return s.up.Stats().Succeeded > 10 })
	cancel(s.t, s.url, o.ID, how)
	return s.end(o, openai.Cancelled)
}

func (s *stage) end(o batch.Object, status openai.Status) string {
	s.t.Helper()
	return awaitEnd(s.t, s.url, o.ID, status).ID
}

// dial connects to the cluster's Temporal.
func (c *cluster) dial() temporal.Client {
	c.t.Helper()
	sdk, err := temporal.DialContext(c.t.Context(), temporal.Options{HostPort: c.temporal, Namespace: c.namespace})
	require.NoError(c.t, err)
	c.t.Cleanup(sdk.Close)
	return sdk
}

// histories are those of all runs of a batch that has ended, in order.
func (c *cluster) histories(id string) []*history.History {
	c.t.Helper()
	sdk := c.dial()
	require.NoError(c.t, sdk.GetWorkflow(c.t.Context(), id, "").Get(c.t.Context(), nil))
	d, err := sdk.DescribeWorkflowExecution(c.t.Context(), id, "")
	require.NoError(c.t, err)
	var all []*history.History
	for run := d.GetWorkflowExecutionInfo().GetFirstRunId(); run != ""; {
		h := &history.History{}
		events := sdk.GetWorkflowHistory(c.t.Context(), id, run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			e, err := events.Next()
			require.NoError(c.t, err)
			h.Events = append(h.Events, e)
		}
		last := h.Events[len(h.Events)-1]
		run = last.GetWorkflowExecutionContinuedAsNewEventAttributes().GetNewExecutionRunId()
		all = append(all, h)
	}
	return all
}

// saveHistory writes a history without the name of the machine it was made on.
func saveHistory(t *testing.T, path string, h *history.History) {
	t.Helper()
	data, err := protojson.Marshal(h)
	require.NoError(t, err)
	host, err := os.Hostname()
	require.NoError(t, err)
	data = append(bytes.ReplaceAll(data, []byte(host), []byte("host")), '\n')
	require.NoError(t, os.WriteFile(path, data, 0o600))
	const most = 100 << 10
	require.Less(t, len(data), most, "histories are kept for good: keep them small")
}
