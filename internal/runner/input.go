package runner

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/task"
)

// items are the tasks that are to be run: those that came along, or those of
// the group's object in the store.
func (r *Run) items(ctx context.Context, w task.Work) ([]task.Item, error) {
	if len(w.Items) > 0 {
		return w.Items, nil
	}
	specs, err := Input(ctx, r.runner.o.Store, w.Part)
	if err != nil {
		return nil, err
	}
	var items []task.Item
	for i, spec := range specs {
		n := w.Part.Number*task.PartSize + i
		if len(w.Only) == 0 || slices.Contains(w.Only, n) {
			items = append(items, task.Item{N: n, Spec: spec})
		}
	}
	return items, nil
}

// Input reads the tasks of a part whose group is in the store.
func Input(ctx context.Context, s *store.Store, p task.Part) ([]task.Spec, error) {
	var specs []task.Spec
	return specs, s.GetJSON(ctx, store.TaskInput(p.Project, p.Group, p.Number), &specs)
}

// PutInput writes the tasks of a group into the store, part by part.
func PutInput(ctx context.Context, s *store.Store, project, group string, specs []task.Spec) error {
	parts, ctx := errgroup.WithContext(ctx)
	parts.SetLimit(8)
	number := 0
	for part := range slices.Chunk(specs, task.PartSize) {
		key := store.TaskInput(project, group, number)
		parts.Go(func() error { return s.PutJSON(ctx, key, part) })
		number++
	}
	return parts.Wait()
}
