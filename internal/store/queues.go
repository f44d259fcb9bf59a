package store

import (
	"context"
	"iter"
)

// Marks of queues. Queues belong to no project. A mark says no more than that
// somebody has given the queue settings; those are Temporal's to keep.

const queueMarkPrefix = "queues/"

func queueMarkKey(name string) string { return queueMarkPrefix + name + ".json" }

// queueMark is what a mark holds, for people who look.
type queueMark struct {
	Name string `json:"name"`
}

// MarkQueue puts a queue into the listing of queues.
func (s *Store) MarkQueue(ctx context.Context, name string) error {
	return s.PutJSON(ctx, queueMarkKey(name), queueMark{Name: name})
}

// QueueMarked reports whether a queue was marked.
func (s *Store) QueueMarked(ctx context.Context, name string) (bool, error) {
	return s.Exists(ctx, queueMarkKey(name))
}

// QueueNames yields the names of all queues that were marked.
func (s *Store) QueueNames(ctx context.Context) iter.Seq2[string, error] {
	return s.ids(ctx, queueMarkPrefix)
}
