package store

import (
	"context"
	"iter"
)

// MarkBatch puts a batch into the listing of its project.
func (s *Store) MarkBatch(ctx context.Context, r Run) error {
	return s.Put(ctx, batchMarkPrefix(r.Project)+r.Batch, nil)
}

// UnmarkBatch takes back MarkBatch.
func (s *Store) UnmarkBatch(ctx context.Context, r Run) error {
	return s.Delete(ctx, batchMarkPrefix(r.Project)+r.Batch)
}

// BatchMarked reports whether a project has a batch.
func (s *Store) BatchMarked(ctx context.Context, r Run) (bool, error) {
	return s.Exists(ctx, batchMarkPrefix(r.Project)+r.Batch)
}

// BatchIDs yields the ids of all batches of a project, newest first.
func (s *Store) BatchIDs(ctx context.Context, project string) iter.Seq2[string, error] {
	return s.ids(ctx, batchMarkPrefix(project))
}
