package e2e_test

import (
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
	"go.temporal.io/api/serviceerror"
	temporal "go.temporal.io/sdk/client"

	"github.com/headrace/headrace/internal/simulator"
	"github.com/headrace/headrace/internal/task"
)

// shredder is a headrace whose Temporal and store are looked into.
type shredder struct {
	*system

	dir    string
	client temporal.Client
}

func newShredder(t *testing.T) *shredder {
	t.Helper()
	up, dir := sim(t, simulator.Options{}), t.TempDir()
	p, address := devTemporal(t, dir, freePort(t), up.URL())
	c, err := temporal.DialContext(t.Context(), temporal.Options{HostPort: address, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return &shredder{system: &system{url: p.await(p.stdout, `API (http://\S+)/v1`), upstream: up}, dir: dir, client: c}
}

// stored are the objects of the store that have a text.
func (s *shredder) stored(t *testing.T, text string) []string {
	t.Helper()
	h := hay{}
	h.add(t, filepath.Join(s.dir, "store"))
	return h.with("", newNeedle("", text))
}

// forgotten waits until Temporal does not know a workflow any more.
func (s *shredder) forgotten(t *testing.T, workflow string) {
	t.Helper()
	poll(t, "Temporal to forget "+workflow, func() bool {
		_, err := s.client.DescribeWorkflowExecution(t.Context(), workflow, "")
		_, unknown := errors.AsType[*serviceerror.NotFound](err)
		return unknown
	})
}

// deleted deletes what is at a path, which must succeed, and be gone then.
func (s *shredder) deleted(t *testing.T, path string) {
	t.Helper()
	r := s.send(t, http.MethodDelete, path, "")
	require.Equal(t, http.StatusOK, r.status, "%s", r.body)
	require.True(t, gjson.GetBytes(r.body, "deleted").Bool())
	require.Equal(t, path[strings.LastIndex(path, "/")+1:], gjson.GetBytes(r.body, "id").Str)
	require.Equal(t, http.StatusNotFound, s.send(t, http.MethodGet, path, "").status)
	require.Equal(t, http.StatusNotFound, s.send(t, http.MethodDelete, path, "").status)
}

func TestADeletedTaskIsGoneFromTheStoreAndFromTemporal(t *testing.T) {
	t.Parallel()
	s := newShredder(t)
	both := s.send(t, http.MethodPost, "/v1/tasks", list(
		chatTask(chatBody("Delete0ne", ""), ""), chatTask(directed("Keep0ne", "latency=1s"), "")))
	require.Equal(t, http.StatusAccepted, both.status, "%s", both.body)
	one, other := gjson.GetBytes(both.body, "data.0.id").Str, gjson.GetBytes(both.body, "data.1.id").Str
	r := s.send(t, http.MethodDelete, "/v1/tasks/"+other, "")
	require.Equal(t, http.StatusConflict, r.status, "%s", r.body)
	require.Contains(t, string(r.body), "Cancel it, and delete it when it has ended")
	s.completed(t, one)
	s.completed(t, other)
	require.NotEmpty(t, s.stored(t, "Delete0ne"))

	s.deleted(t, "/v1/tasks/"+one)
	require.Empty(t, s.stored(t, "Delete0ne"))
	require.Equal(t, "Echo: Keep0ne", s.completed(t, other).Get("result.body.choices.0.message.content").Str)
	require.NotContains(t, s.ids(t, "/v1/tasks"), one)
	require.Contains(t, s.ids(t, "/v1/tasks"), other)
	group, _, _ := strings.Cut(strings.TrimPrefix(one, "task_"), "_")
	s.forgotten(t, task.WorkflowID(group))
	require.Equal(t, http.StatusNotFound, s.send(t, http.MethodGet, "/v1/tasks/"+one, "").status)
	s.deleted(t, "/v1/tasks/"+other)
	require.Empty(t, s.stored(t, "Keep0ne"))
}

func TestADeletedResponseTakesItsStreamAlong(t *testing.T) {
	t.Parallel()
	s := newShredder(t)
	r := s.send(t, http.MethodPost, "/v1/responses", inBackground("DeleteStream", `,"stream":true`))
	require.Contains(t, string(r.body), "response.completed")
	all := s.ids(t, "/v1/tasks")
	require.Len(t, all, 1)
	response := s.task(t, all[0]).Get("response_id").Str
	s.responded(t, response)
	require.NotEmpty(t, s.stored(t, "DeleteStream"))
	s.deleted(t, "/v1/responses/"+response)
	require.Empty(t, s.stored(t, "DeleteStream"))
	require.Equal(t, http.StatusNotFound, s.send(t, http.MethodGet, "/v1/tasks/"+all[0], "").status)
}

func TestADeletedBatchTakesItsResultsAlongAndLeavesItsInput(t *testing.T) {
	t.Parallel()
	s := newShredder(t)
	slow := s.create(t, s.upload(t, request("slow", "?", `,"user":"sim:stall"`)+"\n"), "")
	r := s.send(t, http.MethodDelete, "/v1/batches/"+slow, "")
	require.Equal(t, http.StatusConflict, r.status, "%s", r.body)

	input := request("a", "DeleteBatch", "") + "\n" + request("b", "DeleteBatch", `,"user":"sim:status=400"`) + "\n"
	b := s.process(t, input)
	file := b["input_file_id"].(string)
	require.Equal(t, "completed", b["status"])
	s.deleted(t, "/v1/batches/"+b["id"].(string))
	for _, field := range []string{"output_file_id", "error_file_id"} {
		require.Equal(t, http.StatusNotFound, s.send(t, http.MethodGet, "/v1/files/"+b[field].(string), "").status)
	}
	require.Equal(t, input, string(s.get(t, "/v1/files/"+file+"/content").body))
	require.NotContains(t, s.ids(t, "/v1/batches"), b["id"])
	s.forgotten(t, b["id"].(string))
	require.Equal(t, http.StatusNotFound, s.send(t, http.MethodGet, "/v1/batches/"+b["id"].(string), "").status)

	s.deleted(t, "/v1/files/"+file)
	require.Empty(t, s.stored(t, "DeleteBatch"))
}
