package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/headrace/headrace/api"
	"github.com/headrace/headrace/internal/record"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/streamlog"
	"github.com/headrace/headrace/internal/task"
	"github.com/headrace/headrace/workflows"
)

// taskTemporal is a Temporal server that keeps tasks too, and runs none.
type taskTemporal struct {
	*temporal

	inputs map[string]workflows.TaskInput
}

func (f *taskTemporal) ExecuteWorkflow(
	ctx context.Context, o client.StartWorkflowOptions, name any, args ...any,
) (client.WorkflowRun, error) {
	if name == workflows.NameTask {
		f.mu.Lock()
		f.inputs[o.ID] = args[0].(workflows.TaskInput)
		f.mu.Unlock()
	}
	return f.temporal.ExecuteWorkflow(ctx, o, name, args...)
}

func (f *taskTemporal) GetWorkflowHistory(
	_ context.Context, id, _ string, _ bool, _ enums.HistoryEventFilterType,
) client.HistoryEventIterator {
	f.mu.Lock()
	defer f.mu.Unlock()
	in, ok := f.inputs[id]
	return &firstEvent{in: in, ok: ok}
}

func (f *taskTemporal) ListWorkflow(
	context.Context, *workflowservice.ListWorkflowExecutionsRequest,
) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	return &workflowservice.ListWorkflowExecutionsResponse{}, nil
}

// firstEvent is the part of a history that tells what was started.
type firstEvent struct {
	in workflows.TaskInput
	ok bool
}

func (*firstEvent) HasNext() bool { return true }

func (e *firstEvent) Next() (*history.HistoryEvent, error) {
	if !e.ok {
		return nil, serviceerror.NewNotFound("no such workflow")
	}
	return &history.HistoryEvent{Attributes: &history.HistoryEvent_WorkflowExecutionStartedEventAttributes{
		WorkflowExecutionStartedEventAttributes: &history.WorkflowExecutionStartedEventAttributes{
			Input: &common.Payloads{Payloads: []*common.Payload{payload(e.in)}},
		},
	}}, nil
}

// responsesBundle is an API whose tasks a test carries out by hand.
type responsesBundle struct {
	*testBundle

	tasks *taskTemporal
	logs  *streamlog.Logs
}

func setupResponses(t *testing.T) *responsesBundle {
	t.Helper()
	b := &responsesBundle{testBundle: setup(t)}
	b.tasks = &taskTemporal{temporal: b.temporal, inputs: map[string]workflows.TaskInput{}}
	b.logs = streamlog.New(b.store)
	b.api = api.New(api.Options{
		Temporal: b.tasks, Store: b.store, Logs: b.logs, Logger: slog.New(slog.NewTextHandler(b.log, nil)),
	})
	return b
}

// create asks for a response in the background and returns it, or the first
// event of its stream.
func (b *responsesBundle) create(t *testing.T, body string) gjson.Result {
	t.Helper()
	w := b.send(t, http.MethodPost, "/v1/responses", body)
	require.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
	return gjson.ParseBytes(w.Body.Bytes())
}

// createStream asks for a response with a stream, leaves at once, and returns
// the id.
func (b *responsesBundle) createStream(t *testing.T) string {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/responses",
		strings.NewReader(`{"model":"m","input":"x","background":true,"stream":true}`))
	e := b.hear(r)
	b.await(func() bool { return strings.Count(e.all(), "\n\n") >= 2 })
	leave()
	<-e.done
	_, data, _ := strings.Cut(e.all(), "data: ")
	return gjson.Get(data, "response.id").Str
}

// hear begins to listen to the answer to a request. It must be called in a
// bubble.
func (b *responsesBundle) hear(r *http.Request) *ear {
	e := &ear{header: http.Header{}, done: make(chan struct{})}
	go func() {
		defer close(e.done)
		b.api.ServeHTTP(e, r)
	}()
	return e
}

// stream begins to listen to the stream of a response. query goes behind
// stream=true, with an ampersand before it.
func (b *responsesBundle) stream(t *testing.T, id, query string) *ear {
	t.Helper()
	return b.hear(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/responses/"+id+"?stream=true"+query, http.NoBody))
}

// all is what has come so far.
func (e *ear) all() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.text.String()
}

// write writes frames to the log of a response as one attempt, and completes it
// if that is the last one.
func (b *responsesBundle) write(t *testing.T, id string, last bool, frames ...string) {
	t.Helper()
	name := taskOf(t, id)
	log, err := b.logs.Open(t.Context(), streamlog.Stream{Project: store.DefaultProject, Group: name.Group, N: name.N})
	require.NoError(t, err)
	for _, frame := range frames {
		_, err := log.Append(t.Context(), []byte(frame))
		require.NoError(t, err)
	}
	require.NoError(t, log.Close(t.Context(), last))
}

func taskOf(t *testing.T, id string) task.ID {
	t.Helper()
	name, ok := task.ParseID(task.PrefixResponse, id)
	require.True(t, ok, id)
	return name
}

// finish gives a response its end.
func (b *responsesBundle) finish(t *testing.T, id string, status task.Status, body string, e *task.Error) {
	t.Helper()
	b.finishTask(t, taskOf(t, id), status, body, e)
}

// finishTask gives a task its end.
func (b *responsesBundle) finishTask(t *testing.T, name task.ID, status task.Status, body string, e *task.Error) {
	t.Helper()
	b.tasks.mu.Lock()
	in := b.tasks.inputs[name.Workflow()]
	b.tasks.mu.Unlock()
	now := int64(1)
	o := task.New(name, in.Tasks[name.N], in.Created)
	o.Status, o.Error, o.FinishedAt = status, e, &now
	if body != "" {
		o.Result = &task.Result{StatusCode: http.StatusOK, Body: []byte(body)}
	}
	result, err := record.NewResult(name.N, o)
	require.NoError(t, err)
	j := record.NewJournal(b.store)
	defer j.Close()
	kept := make(chan struct{})
	page := j.Open(name.Part(in.Project), 0, func(record.Result) { close(kept) })
	page.Expect(1)
	page.Put(result)
	<-kept
}
