package record

import (
	"context"
	"errors"
	"fmt"

	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/task"
)

// Erase deletes a task that has ended: what it was answered goes from every object
// that has it, and so do the pieces of its stream. In the place of its result stays
// that it is gone, so that nobody makes the call again. It may be repeated, and
// interrupted: then it is to be repeated.
//
// Objects with the results of several tasks are written anew without it. Each
// eraser marks what it erases first, and looks for marks of others once more after
// it has written: so two that rewrite the same object at once bring nothing back.
func Erase(ctx context.Context, s *store.Store, project string, id task.ID) error {
	if err := s.Put(ctx, store.TaskDeleted(project, id.Group, id.N), nil); err != nil {
		return err
	}
	if err := s.DeleteAll(ctx, s.Keys(ctx, store.TaskStreamPrefix(project, id.Group, id.N))); err != nil {
		return err
	}
	part := id.Part(project)
	marked, err := marks(ctx, s, part)
	for err == nil {
		if err = eraseMarked(ctx, s, part, marked); err != nil {
			break
		}
		before := len(marked)
		if marked, err = marks(ctx, s, part); err == nil && len(marked) == before {
			return leaveGone(ctx, s, part, id)
		}
	}
	return err
}

// marks are the tasks of a part that are to be erased.
func marks(ctx context.Context, s *store.Store, part task.Part) (map[int]bool, error) {
	marked := map[int]bool{}
	for key, err := range s.Keys(ctx, store.TaskDeletedPrefix(part.Project, part.Group)) {
		if err != nil {
			return nil, err
		}
		if n, ok := store.TaskDeletedOf(key); ok && n/task.PartSize == part.Number {
			marked[n] = true
		}
	}
	return marked, nil
}

// eraseMarked writes the objects of a part anew that have any of the marked tasks.
func eraseMarked(ctx context.Context, s *store.Store, part task.Part, marked map[int]bool) error {
	for n := 0; ; n++ {
		data, err := s.Get(ctx, key(part, n))
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		results, err := decode(data)
		if err != nil {
			return fmt.Errorf("read %s: %w", key(part, n), err)
		}
		changed := false
		for i, r := range results {
			if !marked[r.N] {
				continue
			}
			o, err := r.Object()
			if err != nil {
				return err
			}
			if o.Deleted {
				continue
			}
			if results[i], err = gone(part, r.N); err != nil {
				return err
			}
			changed = true
		}
		if changed {
			if err := s.Put(ctx, key(part, n), encode(results)); err != nil {
				return err
			}
		}
	}
}

// leaveGone makes sure that a task has a result that says that it is gone, though
// it may have had none, since its group was ended from outside.
func leaveGone(ctx context.Context, s *store.Store, part task.Part, id task.ID) error {
	for {
		there, next, err := Load(ctx, s, part)
		if _, ok := there[id.N]; ok || err != nil {
			return err
		}
		r, err := gone(part, id.N)
		if err != nil {
			return err
		}
		if err = s.PutNew(ctx, key(part, next), encode([]Result{r})); !errors.Is(err, store.ErrExists) {
			return err
		}
	}
}

func gone(part task.Part, n int) (Result, error) {
	return NewResult(n, task.Gone(task.ID{Group: part.Group, N: n}))
}
