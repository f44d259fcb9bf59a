package store

import (
	"context"
	"iter"
	"strings"
)

// TaskInputs yields the keys of the tasks of a group that are too large to travel
// through Temporal, if they are.
func (s *Store) TaskInputs(ctx context.Context, project, group string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for key, err := range s.Keys(ctx, taskPrefix(project, group)+"-") {
			if (err != nil || strings.HasSuffix(key, inputSuffix)) && !yield(key, err) {
				return
			}
		}
	}
}
