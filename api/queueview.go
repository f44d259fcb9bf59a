package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/headrace/headrace/internal/queue"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/workflows"
)

// Bounds of asking queues how they stand.
const (
	// askTimeout is how long a queue may take to answer. Without a worker
	// none does.
	askTimeout = time.Second
	// asksAtOnce is the most queues that one listing asks at a time.
	asksAtOnce = 32
)

// viewQueue returns a queue as it is now, or store.ErrNotFound if nobody has
// given it settings and nothing uses it. The default queue is always there. Its
// settings are shown as the given changes make them, wherever those are by now.
func (a *API) viewQueue(ctx context.Context, name string, changes ...queue.Change) (queue.Object, error) {
	status, err := a.askQueue(ctx, name)
	live := err == nil
	if !live && !errors.Is(err, store.ErrNotFound) { // nobody is there to answer
		status.Settings, err = a.queueSettings(ctx, name)
	}
	if errors.Is(err, store.ErrNotFound) {
		err = a.mustHaveQueue(ctx, name)
	}
	if err != nil {
		return queue.Object{}, err
	}
	status.Name = name
	status.Settings = status.Settings.Apply(changes...)
	if !live {
		return queue.NewObject(name, status.Settings), nil
	}
	return status.Object(time.Now().UnixMilli()), nil
}

// mustHaveQueue returns store.ErrNotFound for a queue that nobody has given
// settings. Once they are taken away, and nothing uses the queue, its workflow
// ends.
func (a *API) mustHaveQueue(ctx context.Context, name string) error {
	if name == queue.Default {
		return nil
	}
	marked, err := a.store.QueueMarked(ctx, name)
	if err == nil && !marked {
		return store.ErrNotFound
	}
	return err
}

// askQueue asks a queue how it stands. That takes a worker.
func (a *API) askQueue(ctx context.Context, name string) (queue.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var status queue.Status
	r, err := a.temporal.QueryWorkflowWithOptions(ctx, &client.QueryWorkflowWithOptionsRequest{
		WorkflowID: workflows.QueueID(name), QueryType: workflows.QueryStatus,
		QueryRejectCondition: enums.QUERY_REJECT_CONDITION_NOT_OPEN,
	})
	_, unknown := errors.AsType[*serviceerror.NotFound](err)
	switch {
	case unknown, err == nil && r.QueryRejected != nil:
		return status, store.ErrNotFound
	case err != nil:
		return status, fmt.Errorf("ask queue: %w", err)
	}
	return status, r.QueryResult.Get(&status)
}

// queueSettings returns the settings of a queue as Temporal has them: those that
// its workflow has published last, and the changes that no worker has seen to
// since.
func (a *API) queueSettings(ctx context.Context, name string) (queue.Settings, error) {
	var settings queue.Settings
	d, err := a.temporal.DescribeWorkflowExecution(ctx, workflows.QueueID(name), "")
	if _, unknown := errors.AsType[*serviceerror.NotFound](err); unknown {
		return settings, store.ErrNotFound
	}
	if err != nil {
		return settings, fmt.Errorf("describe queue: %w", err)
	}
	info := d.GetWorkflowExecutionInfo()
	if info.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING { // it has just ended
		return settings, store.ErrNotFound
	}
	if payload, ok := info.GetMemo().GetFields()[workflows.MemoSettings]; ok {
		if err := a.payloads.decode(payload, &settings); err != nil {
			return settings, err
		}
	}
	if d.GetPendingWorkflowTask() == nil {
		return settings, nil
	}
	changes, err := a.unseenChanges(ctx, name)
	return settings.Apply(changes...), err
}

// unseenChanges are the changes that have come since a worker decided last, in
// order.
func (a *API) unseenChanges(ctx context.Context, name string) ([]queue.Change, error) {
	var changes []queue.Change
	history := a.temporal.GetWorkflowHistory(ctx, workflows.QueueID(name), "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		if err != nil {
			return nil, fmt.Errorf("read queue: %w", err)
		}
		if event.GetEventType() == enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			changes = nil
		}
		signal := event.GetWorkflowExecutionSignaledEventAttributes()
		payloads := signal.GetInput().GetPayloads()
		if signal.GetSignalName() != workflows.SignalSet || len(payloads) != 1 {
			continue
		}
		var c queue.Change
		if err := a.payloads.decode(payloads[0], &c); err != nil {
			return nil, err
		}
		changes = append(changes, c)
	}
	return changes, nil
}

// queueNames are the names of all queues that may be there, in order: those that
// were given settings are marked in the store, those in use run in Temporal, which
// may list them late.
func (a *API) queueNames(ctx context.Context) ([]string, error) {
	names := []string{queue.Default}
	for name, err := range a.store.QueueNames(ctx) {
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	query := fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus = 'Running'", workflows.NameQueue)
	for token := []byte(nil); ; {
		page, err := a.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Query: query, PageSize: 1000, NextPageToken: token,
		})
		if err != nil {
			return nil, fmt.Errorf("list queues: %w", err)
		}
		for _, e := range page.GetExecutions() {
			if name, ok := strings.CutPrefix(e.GetExecution().GetWorkflowId(), workflows.QueueID("")); ok {
				names = append(names, name)
			}
		}
		if token = page.GetNextPageToken(); len(token) == 0 {
			break
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// viewQueues returns the queues of the given names as they are now, without
// those that are not there.
func (a *API) viewQueues(ctx context.Context, names []string) ([]queue.Object, error) {
	queues := make([]queue.Object, len(names))
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(asksAtOnce)
	for i, name := range names {
		asking.Go(func() error {
			o, err := a.viewQueue(ctx, name)
			if errors.Is(err, store.ErrNotFound) {
				return nil
			}
			queues[i] = o
			return err
		})
	}
	err := asking.Wait()
	return slices.DeleteFunc(queues, func(o queue.Object) bool { return o.Name == "" }), err
}
