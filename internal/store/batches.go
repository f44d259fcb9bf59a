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

// DeleteRun deletes all that a batch has kept, its object last but for the mark of
// its listing, so that whoever is interrupted can begin again. Whatever has objects
// of the run as its content is to be deleted before.
func (s *Store) DeleteRun(ctx context.Context, r Run) error {
	if err := s.DeleteAll(ctx, func(yield func(string, error) bool) {
		for key, err := range s.Keys(ctx, r.Prefix()) {
			if (err != nil || key != r.Object()) && !yield(key, err) {
				return
			}
		}
	}); err != nil {
		return err
	}
	if err := s.DeleteUnfinished(ctx, r.Prefix(), 0); err != nil {
		return err
	}
	if err := s.Delete(ctx, r.Object()); err != nil {
		return err
	}
	return s.UnmarkBatch(ctx, r)
}
