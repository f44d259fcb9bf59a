package record

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/task"
)

func key(p task.Part, n int) string { return store.TaskResults(p.Project, p.Group, p.Number, n) }

// Find returns a task that has ended, or store.ErrNotFound.
func Find(ctx context.Context, s *store.Store, project string, id task.ID) (task.Object, error) {
	part := id.Part(project)
	for n := 0; ; n++ {
		r, err := findIn(ctx, s, key(part, n), id.N)
		if errors.Is(err, errAbsent) {
			continue
		}
		if err != nil {
			return task.Object{}, err
		}
		return r.Object()
	}
}

// errAbsent: the object is there, the task is not in it.
var errAbsent = errors.New("task is not in this object")

// findIn reads no more of an object than it needs.
func findIn(ctx context.Context, s *store.Store, key string, task int) (r Result, err error) {
	object, err := s.Reader(ctx, key, 0, -1)
	if err != nil {
		return r, err
	}
	defer func() { _ = object.Close() }()
	b := bufio.NewReader(object)
	head, err := b.ReadBytes('\n')
	var index []entry
	if err == nil {
		err = json.Unmarshal(head, &index)
	}
	if err != nil {
		return r, fmt.Errorf("read %s: %w", key, err)
	}
	offset := int64(0)
	for _, e := range index {
		if e.n != task {
			offset += int64(e.meta + e.body)
			continue
		}
		if _, err := io.CopyN(io.Discard, b, offset); err != nil {
			return r, fmt.Errorf("read %s: %w", key, err)
		}
		data := make([]byte, e.meta+e.body)
		if _, err := io.ReadFull(b, data); err != nil {
			return r, fmt.Errorf("read %s: %w", key, err)
		}
		return Result{N: task, Meta: data[:e.meta], Body: data[e.meta:]}, nil
	}
	return r, errAbsent
}

// Load returns the results that a part has, by task, and the number that its
// next object will have.
func Load(ctx context.Context, s *store.Store, part task.Part) (map[int]Result, int, error) {
	results := map[int]Result{}
	for n := 0; ; n++ {
		data, err := s.Get(ctx, key(part, n))
		if errors.Is(err, store.ErrNotFound) {
			return results, n, nil
		}
		if err != nil {
			return nil, n, err
		}
		more, err := decode(data)
		if err != nil {
			return nil, n, fmt.Errorf("read %s: %w", key(part, n), err)
		}
		for _, r := range more {
			if _, earlier := results[r.N]; !earlier {
				results[r.N] = r
			}
		}
	}
}
