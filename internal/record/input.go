package record

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/task"
)

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
