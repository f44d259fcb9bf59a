package api

import (
	"context"
	"sync"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/headrace/headrace/internal/groupcommit"
	"github.com/headrace/headrace/internal/record"
	"github.com/headrace/headrace/internal/task"
	"github.com/headrace/headrace/workflows"
)

// Bounds of groups whose tasks travel through Temporal. It refuses payloads of
// 2 MB.
const (
	groupSize = 512 << 10 // bytes
	// taskOverhead is about what a task takes beside its body.
	taskOverhead = 200
	// longestLinger bounds how long a group waits for more, see
	// groupcommit.Committer.
	longestLinger = 20 * time.Millisecond
	// startTimeout bounds the start of a group, with all its tries.
	startTimeout = 30 * time.Second
)

// submission is a task on its way into a group.
type submission struct {
	spec task.Spec

	id      task.ID
	created task.Millis
}

// committers make groups of tasks that come at the same time, for each project
// its own.
type committers struct {
	start  func(ctx context.Context, in workflows.TaskInput) error
	resume func(ctx context.Context, specs []task.Spec) context.Context

	mu  sync.Mutex
	all map[string]*groupcommit.Committer[*submission]
}

func (cs *committers) of(project string) *groupcommit.Committer[*submission] {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.all[project] == nil {
		cs.all[project] = groupcommit.New(groupcommit.Options[*submission]{
			Commit:   func(group []*submission) error { return cs.commit(project, group) },
			MaxItems: task.PartSize, MaxSize: groupSize, MaxLinger: longestLinger,
		})
	}
	return cs.all[project]
}

// commit starts a group of tasks of several requests.
func (cs *committers) commit(project string, group []*submission) error {
	in := workflows.TaskInput{Project: project, Group: task.NewGroup(), Created: task.Now()}
	for n, s := range group {
		s.id, s.created = task.ID{Group: in.Group, N: n}, in.Created
		in.Tasks = append(in.Tasks, s.spec)
	}
	// No request's context: the group belongs to several.
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout) //nolint:forbidigo // bounded
	defer cancel()
	return cs.start(cs.resume(ctx, in.Tasks), in)
}

// startGroup makes a group durable.
func (a *API) startGroup(ctx context.Context, in workflows.TaskInput) error {
	first, err := a.startWorkflow(ctx, client.StartWorkflowOptions{
		ID: task.WorkflowID(in.Group), Memo: map[string]any{workflows.MemoProject: in.Project},
		EnableEagerStart: true, // a worker in this process takes it without asking
	}, workflows.NameTask, in)
	if err == nil {
		a.recent.add(in.Project, in.Group)
	}
	if first {
		a.accepted(AcceptedTask, max(in.Stored, len(in.Tasks)))
	}
	return err
}

// submit accepts one task.
func (a *API) submit(ctx context.Context, project string, spec task.Spec) (task.Object, error) {
	defer a.hub.Pressure.Enter()()
	if size := sizeOf(spec); size <= groupSize {
		s := &submission{spec: spec}
		//nolint:contextcheck // a commit is of several requests, and none of them ends it
		if err := a.committers.of(project).Do(ctx, s, size); err != nil {
			return task.Object{}, err
		}
		return task.New(s.id, spec, s.created), nil
	}
	objects, err := a.submitGroup(ctx, project, task.NewGroup(), []task.Spec{spec})
	if err != nil {
		return task.Object{}, err
	}
	return objects[0], nil
}

// submitGroup accepts tasks as a group of their own, all or none. It may be
// repeated under the same name.
func (a *API) submitGroup(ctx context.Context, project, group string, specs []task.Spec) ([]task.Object, error) {
	in := workflows.TaskInput{Project: project, Group: group, Created: task.Now(), Tasks: specs}
	size := 0
	for _, s := range specs {
		size += sizeOf(s)
	}
	if len(specs) > task.PartSize || size > groupSize {
		if err := record.PutInput(ctx, a.store, project, group, specs); err != nil {
			return nil, err
		}
		in.Tasks, in.Stored = nil, len(specs)
	}
	if err := a.startGroup(ctx, in); err != nil {
		return nil, err
	}
	objects := make([]task.Object, len(specs))
	for n, s := range specs {
		objects[n] = task.New(task.ID{Group: group, N: n}, s, in.Created)
	}
	return objects, nil
}

func sizeOf(s task.Spec) int { return len(s.Body) + taskOverhead }
