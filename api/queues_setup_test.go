package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	querypb "go.temporal.io/api/query/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/headrace/headrace/api"
	"github.com/headrace/headrace/internal/queue"
	"github.com/headrace/headrace/workflows"
)

// queueTemporal is a Temporal server that keeps queues too. While nobody works, it
// has their memos and their signals; work makes it answer for them.
type queueTemporal struct {
	*taskTemporal

	signals map[string][]queue.Change // that no worker has seen, by workflow
	live    map[string]queue.Status   // by workflow
	works   bool                      // a worker is up
	buffers bool                      // signals do not get into histories yet
	flaky   int                       // signals that fail after they have come
	listed  []string                  // workflows that visibility has
	starts  map[string]workflows.QueueInput
}

// work lets a worker see to what has come, and answer from now on.
func (f *queueTemporal) work() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.works = true
	for id, memo := range f.memos {
		settings, _ := memo[workflows.MemoSettings].(queue.Settings)
		memo = map[string]any{workflows.MemoSettings: settings.Apply(f.signals[id]...)}
		f.memos[id], f.signals[id] = memo, nil
		status := f.live[id]
		status.Settings = memo[workflows.MemoSettings].(queue.Settings)
		f.live[id] = status
	}
}

func (f *queueTemporal) SignalWithStartWorkflow(
	_ context.Context, id, signal string, arg any, o client.StartWorkflowOptions, name any, args ...any,
) (client.WorkflowRun, error) {
	f.mu.Lock()
	if f.err != nil {
		defer f.mu.Unlock()
		return nil, f.err
	}
	if signal != workflows.SignalSet || name != workflows.NameQueue || o.TaskQueue != workflows.TaskQueue {
		panic(fmt.Sprint("another workflow is meant: ", signal, name, o.TaskQueue))
	}
	if _, runs := f.memos[id]; !runs {
		f.memos[id], f.starts[id] = o.Memo, args[0].(workflows.QueueInput)
	}
	data, err := json.Marshal(arg)
	if err != nil {
		panic(err)
	}
	var c queue.Change
	if err := json.Unmarshal(data, &c); err != nil {
		panic(err)
	}
	f.signals[id] = append(f.signals[id], c)
	works, lost := f.works, f.flaky > 0
	f.flaky--
	f.mu.Unlock()
	if works {
		f.work()
	}
	if lost {
		return nil, serviceerror.NewInternal("the answer got lost")
	}
	return nil, nil
}

func (f *queueTemporal) QueryWorkflowWithOptions(
	_ context.Context, r *client.QueryWorkflowWithOptionsRequest,
) (*client.QueryWorkflowWithOptionsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, found := f.memos[r.WorkflowID]
	switch {
	case f.err != nil:
		return nil, f.err
	case r.QueryType != workflows.QueryStatus || r.QueryRejectCondition != enums.QUERY_REJECT_CONDITION_NOT_OPEN:
		return nil, errors.New("another query is meant")
	case !found:
		return nil, serviceerror.NewNotFound("no such workflow")
	case f.status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING:
		return &client.QueryWorkflowWithOptionsResponse{QueryRejected: &querypb.QueryRejected{Status: f.status}}, nil
	case !f.works:
		return nil, serviceerror.NewFailedPrecondition("no poller seen for task queue recently")
	}
	return &client.QueryWorkflowWithOptionsResponse{QueryResult: client.NewValue(&common.Payloads{
		Payloads: []*common.Payload{payload(f.live[r.WorkflowID])},
	})}, nil
}

func (f *queueTemporal) DescribeWorkflowExecution(
	ctx context.Context, id, run string,
) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	d, err := f.taskTemporal.DescribeWorkflowExecution(ctx, id, run)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil && len(f.signals[id]) > 0 && !f.buffers {
		d.PendingWorkflowTask = &workflowpb.PendingWorkflowTaskInfo{}
	}
	return d, err
}

func (f *queueTemporal) ListWorkflow(
	_ context.Context, r *workflowservice.ListWorkflowExecutionsRequest,
) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return nil, f.err
	}
	if !strings.Contains(r.GetQuery(), "'Queue'") || !strings.Contains(r.GetQuery(), "'Running'") {
		return nil, errors.New("another listing is meant")
	}
	// One at a time, so that pages are turned.
	at := len(r.GetNextPageToken())
	page := &workflowservice.ListWorkflowExecutionsResponse{}
	if at < len(f.listed) {
		page.Executions = []*workflowpb.WorkflowExecutionInfo{{Execution: &common.WorkflowExecution{WorkflowId: f.listed[at]}}}
	}
	if at+1 < len(f.listed) {
		page.NextPageToken = make([]byte, at+1)
	}
	return page, nil
}

func (f *queueTemporal) GetWorkflowHistory(
	ctx context.Context, id, run string, wait bool, filter enums.HistoryEventFilterType,
) client.HistoryEventIterator {
	if !strings.HasPrefix(id, workflows.QueueID("")) {
		return f.taskTemporal.GetWorkflowHistory(ctx, id, run, wait, filter)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	stale := queue.Change{RPM: new(int64(999)), Weights: &map[string]int64{"stale": 1}}
	events := []*history.HistoryEvent{
		{EventType: enums.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED},
		signalled(stale),
		{EventType: enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED},
	}
	for _, c := range f.signals[id] {
		events = append(events, signalled(c))
	}
	return &eventsOf{events}
}

func signalled(c queue.Change) *history.HistoryEvent {
	return &history.HistoryEvent{
		EventType: enums.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
		Attributes: &history.HistoryEvent_WorkflowExecutionSignaledEventAttributes{
			WorkflowExecutionSignaledEventAttributes: &history.WorkflowExecutionSignaledEventAttributes{
				SignalName: workflows.SignalSet, Input: &common.Payloads{Payloads: []*common.Payload{payload(c)}},
			},
		},
	}
}

// eventsOf is a history.
type eventsOf struct{ rest []*history.HistoryEvent }

func (e *eventsOf) HasNext() bool { return len(e.rest) > 0 }

func (e *eventsOf) Next() (*history.HistoryEvent, error) {
	next := e.rest[0]
	e.rest = e.rest[1:]
	return next, nil
}

// queuesBundle is an API over queues.
type queuesBundle struct {
	*testBundle

	queues *queueTemporal
}

func setupQueues(t *testing.T) *queuesBundle {
	t.Helper()
	b := &queuesBundle{testBundle: setup(t)}
	b.queues = &queueTemporal{
		taskTemporal: &taskTemporal{temporal: b.temporal, inputs: map[string]workflows.TaskInput{}},
		signals:      map[string][]queue.Change{}, live: map[string]queue.Status{}, starts: map[string]workflows.QueueInput{},
	}
	b.api = api.New(api.Options{Temporal: b.queues, Store: b.store, Logger: slog.New(slog.NewTextHandler(b.log, nil))})
	return b
}

// ask makes a request that must succeed, and returns the answer.
func (b *queuesBundle) ask(t *testing.T, method, path, body string) gjson.Result {
	t.Helper()
	w := b.send(t, method, path, body)
	require.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
	return gjson.ParseBytes(w.Body.Bytes())
}
