package store

import (
	"context"
	"io"
	"iter"

	"github.com/headrace/headrace/internal/openai"
)

// Manifest is the content of an output file: objects that, read one after the
// other, are the file. So a batch of any size is finished without copying a
// byte of its results.
type Manifest struct {
	Parts []Part `json:"parts"`
}

// Part is one object of a Manifest.
type Part struct {
	Key   string `json:"key"`
	Bytes int64  `json:"bytes"`
}

// Bytes is the length of the file.
func (m Manifest) Bytes() int64 {
	var n int64
	for _, p := range m.Parts {
		n += p.Bytes
	}
	return n
}

// keys yields the keys of the parts.
func (m Manifest) keys() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, p := range m.Parts {
			if !yield(p.Key, nil) {
				return
			}
		}
	}
}

// SaveManifestFile writes an output file: its manifest, then the object that
// makes it exist. It may be repeated.
func (s *Store) SaveManifestFile(ctx context.Context, project string, f openai.File, m Manifest) error {
	if err := s.PutJSON(ctx, fileManifestKey(project, f.ID), m); err != nil {
		return err
	}
	return s.SaveFile(ctx, project, f)
}

func (s *Store) manifest(ctx context.Context, project, id string) (Manifest, error) {
	var m Manifest
	return m, s.GetJSON(ctx, fileManifestKey(project, id), &m)
}

func (s *Store) openManifest(ctx context.Context, m Manifest, offset, length int64) io.ReadCloser {
	if length < 0 {
		length = m.Bytes() - offset
	}
	return &manifestReader{ctx: ctx, store: s, parts: m.Parts, skip: offset, left: length}
}

// manifestReader reads the parts of a manifest one after the other, with one
// open at a time. A part that is shorter than the manifest says ends it with
// io.ErrUnexpectedEOF.
type manifestReader struct {
	ctx   context.Context
	store *Store
	parts []Part
	skip  int64 // bytes still to be passed over before the first one wanted
	left  int64 // bytes still wanted
	open  io.ReadCloser
	due   int64 // those of them that lie in the open part
}

// Read implements io.Reader.
func (r *manifestReader) Read(p []byte) (int, error) {
	for {
		if r.open == nil {
			if err := r.next(); err != nil {
				return 0, err
			}
		}
		n, err := r.open.Read(p)
		r.left -= int64(n)
		r.due -= int64(n)
		if err == io.EOF {
			_ = r.open.Close()
			r.open, err = nil, nil
			if r.due > 0 {
				r.parts = nil // the next part would stand in the place of what is missing
			}
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
}

// next opens the part in which the next wanted byte lies.
func (r *manifestReader) next() error {
	for len(r.parts) > 0 && r.skip >= r.parts[0].Bytes {
		r.skip -= r.parts[0].Bytes
		r.parts = r.parts[1:]
	}
	if r.left <= 0 {
		return io.EOF
	}
	if len(r.parts) == 0 {
		return io.ErrUnexpectedEOF
	}
	part := r.parts[0]
	due := min(part.Bytes-r.skip, r.left)
	open, err := r.store.Reader(r.ctx, part.Key, r.skip, due)
	if err != nil {
		return err
	}
	r.open, r.due, r.parts, r.skip = open, due, r.parts[1:], 0
	return nil
}

// Close implements io.Closer.
func (r *manifestReader) Close() error {
	if r.open == nil {
		return nil
	}
	return r.open.Close()
}
