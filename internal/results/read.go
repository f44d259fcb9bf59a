package results

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"

	"github.com/headrace/headrace/internal/store"
)

// Read writes every result that a batch has so far to w: answers and errors,
// by input line, each line once. Results of calls that finish meanwhile may or
// may not be among them.
func Read(ctx context.Context, s *store.Store, run store.Run, w io.Writer) error {
	last := int64(-1)
	for key, err := range s.Keys(ctx, run.ChunksPrefix()) {
		if err != nil {
			return err
		}
		chunk, ok := run.ChunkOf(key)
		if !ok || chunk == last {
			continue
		}
		last = chunk
		if err := readChunk(ctx, s, run, chunk, w); err != nil {
			return err
		}
	}
	return nil
}

// readChunk writes the results of one chunk. Objects that go while they are
// read, because the chunk has been finished, are looked up anew.
func readChunk(ctx context.Context, s *store.Store, run store.Run, chunk int64, w io.Writer) error {
	written := int64(0)
	for {
		entries, _, err := load(ctx, s, run, chunk, memoryLimit)
		if err != nil {
			return err
		}
		slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.line, b.line) })
		for _, e := range entries {
			if e.line <= written {
				continue
			}
			if err = copyEntry(ctx, s, w, e); err != nil {
				break
			}
			written = e.line
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
}
