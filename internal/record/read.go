package record

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

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
func findIn(ctx context.Context, s *store.Store, key string, n int) (r Result, err error) {
	object, err := s.Reader(ctx, key, 0, -1)
	if err != nil {
		return r, err
	}
	defer func() { _ = object.Close() }()
	b := bufio.NewReader(object)
	index, err := readIndex(b)
	if err != nil {
		return r, fmt.Errorf("read %s: %w", key, err)
	}
	at := slices.IndexFunc(index, func(e entry) bool { return e.n == n })
	if at < 0 {
		return r, errAbsent
	}
	var before, between int
	for i, e := range index {
		if i < at {
			before, between = before+e.meta, between+e.body
		} else if i > at {
			between += e.meta
		}
	}
	r = Result{N: n}
	if r.Meta, err = readAfter(b, before, index[at].meta); err == nil {
		r.Body, err = readAfter(b, between, index[at].body)
	}
	if err != nil {
		return r, fmt.Errorf("read %s: %w", key, err)
	}
	return r, nil
}

// readAfter skips some bytes and reads those that follow.
func readAfter(b *bufio.Reader, skip, n int) ([]byte, error) {
	if _, err := io.CopyN(io.Discard, b, int64(skip)); err != nil {
		return nil, err
	}
	data := make([]byte, n)
	_, err := io.ReadFull(b, data)
	return data, err
}

// List returns the tasks of a part that have ended, by number, without the
// bodies of their results.
func List(ctx context.Context, s *store.Store, part task.Part) (map[int]task.Object, error) {
	objects := map[int]task.Object{}
	for n := 0; ; n++ {
		results, err := metasIn(ctx, s, key(part, n))
		if errors.Is(err, store.ErrNotFound) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		for _, r := range results {
			if _, earlier := objects[r.N]; earlier {
				continue
			}
			if objects[r.N], err = r.Object(); err != nil {
				return nil, err
			}
		}
	}
}

func metasIn(ctx context.Context, s *store.Store, key string) ([]Result, error) {
	object, err := s.Reader(ctx, key, 0, -1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = object.Close() }()
	b := bufio.NewReader(object)
	index, err := readIndex(b)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	results, err := readMetas(b, index)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return results, nil
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
