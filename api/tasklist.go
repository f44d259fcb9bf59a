package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/record"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/task"
	"github.com/headrace/headrace/workflows"
)

// listTasks lists tasks, newest group first. Groups that run are known to
// Temporal, those that have results to the store.
func (a *API) listTasks(c *gin.Context) error {
	status := task.Status(c.Query("status"))
	if status != "" {
		if err := oneOf("status", status, task.Statuses()); err != nil {
			return err
		}
	}
	page, err := pageOfIDs(c, batchesPage, func(id string) bool {
		_, ok := task.ParseID(task.Prefix, id)
		return ok
	})
	if err != nil {
		return err
	}
	after, _ := task.ParseID(task.Prefix, page.after) // the zero ID for the first page
	if page.ascending {
		return openai.InvalidRequest("order", openai.CodeInvalidValue, "Tasks are listed newest first: 'order' can only be 'desc'.")
	}
	objects, more, err := a.taskPage(c.Request.Context(), project(c), status, after, page.limit)
	if err != nil {
		return err
	}
	return writeTasks(c, 200, objects, more)
}

// taskPage lists the tasks of one page and whether there are more.
func (a *API) taskPage(
	ctx context.Context, project string, status task.Status, after task.ID, limit int,
) (page []task.Object, more bool, err error) {
	running, err := a.runningGroups(ctx, project, after)
	if err != nil {
		return nil, false, err
	}
	kept := a.keptGroups(ctx, project, after)
	if status == task.Queued || status == task.InProgress {
		kept = func(func(string, error) bool) {} // what has a status like that runs
	}
	for name, err := range merged(running, kept) {
		if err != nil {
			return nil, false, err
		}
		_, runs := slices.BinarySearch(running, name)
		objects, err := a.groupTasks(ctx, project, name, runs)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, false, err
		}
		for _, o := range objects {
			// Not all tasks of a group that was ended from outside are there.
			id, _ := task.ParseID(task.Prefix, o.ID)
			if after.Group != "" && !after.Before(id) || status != "" && o.Status != status {
				continue
			}
			deleted, err := a.deleted(ctx, project, o)
			switch {
			case err != nil:
				return nil, false, err
			case deleted:
				continue
			case len(page) == limit:
				return page, true, nil
			}
			page = append(page, o)
		}
	}
	return page, false, nil
}

// groupTasks are all tasks of a group as they are, or those that have ended if
// the group does not run.
func (a *API) groupTasks(ctx context.Context, project, name string, runs bool) ([]task.Object, error) {
	if !runs {
		return a.endedTasks(ctx, project, name)
	}
	// Results come before the end of their group: what is looked for first may
	// not be missing because of what happens in between.
	g, err := a.describeGroup(ctx, project, name)
	if err != nil {
		return nil, err
	}
	objects := make([]task.Object, g.size())
	for n := range objects {
		if n%task.PartSize == 0 {
			ended, err := record.List(ctx, a.store, task.ID{Group: name, N: n}.Part(project))
			if err != nil {
				return nil, err
			}
			for number, o := range ended {
				objects[number] = o
			}
		}
		if objects[n].ID == "" {
			if objects[n], err = a.unfinished(ctx, g, n); err != nil {
				return nil, err
			}
		}
	}
	return objects, nil
}

// endedTasks are the tasks of a group that have ended, in order.
func (a *API) endedTasks(ctx context.Context, project, name string) ([]task.Object, error) {
	var objects []task.Object
	for number := 0; ; number++ {
		ended, err := record.List(ctx, a.store, task.Part{Project: project, Group: name, Number: number})
		if err != nil || len(ended) == 0 {
			return objects, err
		}
		for _, n := range slices.Sorted(maps.Keys(ended)) {
			objects = append(objects, ended[n])
		}
	}
}

// unfinished is a task of a group that has no result yet.
func (a *API) unfinished(ctx context.Context, g *group, n int) (task.Object, error) {
	if a.runner != nil {
		if o, ok := a.runner.Get(g.in.Project, task.ID{Group: g.in.Group, N: n}); ok {
			return o, nil
		}
	}
	spec, _, err := g.spec(ctx, a.store, n)
	return g.object(n, spec), err
}

// mostRunning bounds the groups that run and are looked at for one page. Those
// beyond are on later pages.
const mostRunning = 5000

// clockSkew is how far the clocks of processes may be apart.
const clockSkew = time.Minute

// runningGroups are the groups of a project that run, newest first, from the one
// that a page follows on. However many run of other projects, none is missing.
func (a *API) runningGroups(ctx context.Context, project string, after task.ID) ([]string, error) {
	query := fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus = 'Running'", workflows.NameTask)
	if at, ok := openai.TimeOf(after.Group); ok {
		query += fmt.Sprintf(" AND StartTime <= '%s'", at.Add(clockSkew).UTC().Format(time.RFC3339))
	}
	var names []string
	var token []byte
	for len(names) < mostRunning {
		page, err := a.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Query: query, PageSize: 1000, NextPageToken: token,
		})
		if err != nil {
			return nil, fmt.Errorf("list tasks: %w", err)
		}
		for _, e := range page.GetExecutions() {
			name := task.GroupOf(e.GetExecution().GetWorkflowId())
			if name < after.Group || a.payloads.ofAnother(project, e) {
				continue
			}
			names = append(names, name)
		}
		if token = page.GetNextPageToken(); len(token) == 0 {
			break
		}
	}
	names = append(names, a.recent.since(project, after.Group)...)
	slices.Sort(names)
	return slices.Compact(names), nil
}

// ofAnother reports whether a group is known to be another project's.
func (p payloads) ofAnother(project string, e *workflow.WorkflowExecutionInfo) bool {
	payload, told := e.GetMemo().GetFields()[workflows.MemoProject]
	var owner string
	return told && p.decode(payload, &owner) == nil && owner != project
}

// keptGroups yields the groups that have anything in the store, newest first,
// from the one that a page follows on.
func (a *API) keptGroups(ctx context.Context, project string, after task.ID) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		last := ""
		for key, err := range a.store.Keys(ctx, store.TasksPrefix(project)) {
			if err != nil {
				yield("", err)
				return
			}
			name, _, _, ok := store.TaskResultsOf(key)
			if !ok || name == last || cmp.Compare(name, after.Group) < 0 {
				continue
			}
			last = strings.Clone(name)
			if !yield(last, nil) {
				return
			}
		}
	}
}

// merged yields names of two sorted lists in order, each once.
func merged(a []string, b iter.Seq2[string, error]) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		rest := a
		for name, err := range b {
			if err != nil {
				yield("", err)
				return
			}
			for len(rest) > 0 && rest[0] < name {
				if !yield(rest[0], nil) {
					return
				}
				rest = rest[1:]
			}
			if len(rest) > 0 && rest[0] == name {
				rest = rest[1:]
			}
			if !yield(name, nil) {
				return
			}
		}
		for _, name := range rest {
			if !yield(name, nil) {
				return
			}
		}
	}
}
