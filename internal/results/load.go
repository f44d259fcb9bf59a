package results

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/headrace/headrace/internal/store"
)

// loadTries bounds how often a chunk is read anew because its objects changed
// under the reader: whoever holds it replaces segments by the whole chunk once.
const loadTries = 5

// load reads all results of a chunk that anybody has written, each input line
// once, and returns the keys they were found under. Up to keep bytes of text
// stay in memory; of further lines only the place is remembered.
func load(ctx context.Context, s *store.Store, run store.Run, chunk int64, keep int64) ([]entry, []string, error) {
	for range loadTries {
		entries, keys, err := loadOnce(ctx, s, run, chunk, keep)
		if !errors.Is(err, store.ErrNotFound) {
			return entries, keys, err
		}
	}
	return nil, nil, fmt.Errorf("load chunk %d: its objects keep changing", chunk)
}

func loadOnce(ctx context.Context, s *store.Store, run store.Run, chunk int64, keep int64) ([]entry, []string, error) {
	var (
		keys    []string
		entries []entry
	)
	seen := map[int64]bool{}
	for key, err := range s.Keys(ctx, run.ChunkPrefix(chunk)) {
		if err != nil {
			return nil, nil, err
		}
		keys = append(keys, key)
	}
	for _, key := range keys {
		err := eachLine(ctx, s, key, func(e entry) {
			if seen[e.line] {
				return
			}
			seen[e.line] = true
			if keep -= e.bytes; keep < 0 {
				e.text = nil
			}
			entries = append(entries, e)
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return entries, keys, nil
}

// eachLine reads the lines of one object.
func eachLine(ctx context.Context, s *store.Store, key string, yield func(entry)) error {
	r, err := s.Reader(ctx, key, 0, -1)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	br := bufio.NewReader(r)
	for offset := int64(0); ; {
		text, err := br.ReadBytes('\n')
		switch {
		case errors.Is(err, io.EOF) && len(text) == 0:
			return nil
		case err != nil:
			return fmt.Errorf("read %s: %w", key, err)
		}
		e, err := readBack(text)
		if err != nil {
			return fmt.Errorf("read %s: %w", key, err)
		}
		e.text, e.key, e.offset = text, key, offset
		offset += e.bytes
		yield(e)
	}
}

// copyEntry writes the text of an entry, wherever it is.
func copyEntry(ctx context.Context, s *store.Store, w io.Writer, e entry) error {
	if e.text != nil {
		_, err := io.Copy(w, bytes.NewReader(e.text))
		return err
	}
	r, err := s.Reader(ctx, e.key, e.offset, e.bytes)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	_, err = io.Copy(w, r)
	return err
}
