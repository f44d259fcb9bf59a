package api

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/headrace/headrace/internal/record"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/task"
	"github.com/headrace/headrace/workflows"
)

// task returns a task as it is now, or store.ErrNotFound if there is none or if
// it has been deleted.
func (a *API) task(ctx context.Context, project string, id task.ID) (task.Object, error) {
	o, err := a.find(ctx, project, id)
	if err != nil {
		return o, err
	}
	deleted, err := a.deleted(ctx, project, o)
	switch {
	case err != nil:
		return task.Object{}, err
	case deleted:
		return task.Object{}, store.ErrNotFound
	}
	return o, nil
}

// deleted reports whether a task has been deleted. Background responses that were
// deleted by version 0.3 are only marked so.
func (a *API) deleted(ctx context.Context, project string, o task.Object) (bool, error) {
	id, ok := task.ParseID(task.PrefixResponse, o.ResponseID)
	if o.Deleted || !ok {
		return o.Deleted, nil
	}
	return a.store.Exists(ctx, store.TaskDeleted(project, id.Group, id.N))
}

// find returns a task as it is now, or store.ErrNotFound. One that is under way
// in this process is told by the runner, one that has ended is in the store, and
// of all others Temporal knows.
func (a *API) find(ctx context.Context, project string, id task.ID) (task.Object, error) {
	if a.runner != nil {
		if o, ok := a.runner.Get(project, id); ok {
			return o, nil
		}
	}
	o, err := record.Find(ctx, a.store, project, id)
	if !errors.Is(err, store.ErrNotFound) {
		return o, err
	}
	g, err := a.describeGroup(ctx, project, id.Group)
	if err != nil {
		return o, err
	}
	if g.over {
		// It has ended since we looked, or was ended by hand and left no result.
		if o, err := record.Find(ctx, a.store, project, id); !errors.Is(err, store.ErrNotFound) {
			return o, err
		}
	}
	spec, ok, err := g.spec(ctx, a.store, id.N)
	if err != nil || !ok {
		return o, errors.Join(err, store.ErrNotFound)
	}
	return g.object(id.N, spec), nil
}

// group is what Temporal tells of a group of tasks.
type group struct {
	in       workflows.TaskInput
	over     bool // nothing runs any more
	progress map[int]task.Progress
	parts    map[int][]task.Spec // of a stored group, those read
}

// describeGroup asks Temporal for a group, or returns store.ErrNotFound.
func (a *API) describeGroup(ctx context.Context, project, name string) (*group, error) {
	d, err := a.temporal.DescribeWorkflowExecution(ctx, task.WorkflowID(name), "")
	if _, unknown := errors.AsType[*serviceerror.NotFound](err); unknown {
		return nil, store.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("describe tasks: %w", err)
	}
	if a.payloads.ofAnother(project, d.GetWorkflowExecutionInfo()) {
		return nil, store.ErrNotFound
	}
	g := &group{progress: map[int]task.Progress{}, parts: map[int][]task.Spec{}}
	g.over = d.GetWorkflowExecutionInfo().GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING
	if g.in, err = a.groupInput(ctx, name); err != nil {
		return nil, err
	}
	if g.in.Project != project {
		return nil, store.ErrNotFound
	}
	return g, g.read(a.payloads, d)
}

// groupInput reads what a group was started with.
func (a *API) groupInput(ctx context.Context, name string) (workflows.TaskInput, error) {
	var in workflows.TaskInput
	history := a.temporal.GetWorkflowHistory(ctx, task.WorkflowID(name), "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	if !history.HasNext() {
		return in, store.ErrNotFound
	}
	event, err := history.Next()
	if err != nil {
		return in, fmt.Errorf("read tasks: %w", err)
	}
	input := event.GetWorkflowExecutionStartedEventAttributes().GetInput().GetPayloads()
	if len(input) != 1 {
		return in, store.ErrNotFound
	}
	return in, a.payloads.decode(input[0], &in)
}

// read takes what a description tells of the tasks that are under way or wait.
func (g *group) read(p payloads, d *workflowservice.DescribeWorkflowExecutionResponse) error {
	var waiting []task.Again
	if payload, ok := d.GetWorkflowExecutionInfo().GetMemo().GetFields()[workflows.MemoWaiting]; ok {
		if err := p.decode(payload, &waiting); err != nil {
			return err
		}
	}
	for _, w := range waiting {
		g.progress[w.N] = task.Progress{N: w.N, StartedAt: w.StartedAt, Attempts: w.Attempts, WaitingOn: w.WaitingOn}
	}
	for _, activity := range d.GetPendingActivities() {
		if activity.GetActivityType().GetName() != workflows.NameCarry {
			continue
		}
		if err := g.readHeartbeat(p, activity.GetHeartbeatDetails().GetPayloads()); err != nil {
			return err
		}
	}
	return nil
}

func (g *group) readHeartbeat(p payloads, details []*common.Payload) error {
	if len(details) == 0 {
		return nil
	}
	var progress []task.Progress
	if err := p.decode(details[0], &progress); err != nil {
		return err
	}
	for _, one := range progress {
		g.progress[one.N] = one
	}
	return nil
}

// size is the number of tasks.
func (g *group) size() int { return max(g.in.Stored, len(g.in.Tasks)) }

// spec returns a task as it was asked for, false if the group has none of that
// number.
func (g *group) spec(ctx context.Context, s *store.Store, n int) (task.Spec, bool, error) {
	if n >= g.size() {
		return task.Spec{}, false, nil
	}
	if g.in.Stored == 0 {
		return g.in.Tasks[n], true, nil
	}
	part := n / task.PartSize
	if g.parts[part] == nil {
		specs, err := record.Input(ctx, s, task.Part{Project: g.in.Project, Group: g.in.Group, Number: part})
		if err != nil {
			return task.Spec{}, false, err
		}
		g.parts[part] = specs
	}
	i := n % task.PartSize
	if i >= len(g.parts[part]) {
		return task.Spec{}, false, nil
	}
	return g.parts[part][i], true, nil
}

// codeEnded is the code of a task that nobody carries out any more.
const codeEnded = "workflow_ended"

// object is a task that has no result.
func (g *group) object(n int, spec task.Spec) task.Object {
	o := task.New(task.ID{Group: g.in.Group, N: n}, spec, g.in.Created)
	if g.over {
		o.Status = task.Failed
		o.Error = &task.Error{Code: codeEnded, Message: "The workflow of this task was ended from outside."}
		return o
	}
	return o.During(g.progress[n])
}
