package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"gocloud.dev/blob"
)

// Writer writes one object. Nothing is visible under its key until Commit
// returns; exactly one of Commit and Abort must be called.
type Writer struct {
	w      *blob.Writer
	file   *os.File // the local file below w, nil for a remote store
	cancel context.CancelFunc
	key    string
	dirs   *syncedDirs
}

// Create begins to write key.
func (s *Store) Create(ctx context.Context, key string) (*Writer, error) {
	ctx, cancel := context.WithCancel(ctx)
	w := &Writer{cancel: cancel, key: key, dirs: &s.dirs}
	bw, err := s.bucket.NewWriter(ctx, key, &blob.WriterOptions{
		DisableContentTypeDetection: true, // would buffer, and nobody reads it
		BeforeWrite: func(as func(any) bool) error {
			as(&w.file)
			return nil
		},
	})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("write %s: %w", key, err)
	}
	w.w = bw
	return w, nil
}

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if err != nil {
		return n, fmt.Errorf("write %s: %w", w.key, err)
	}
	return n, nil
}

// Commit makes the object visible under its key. On a local folder its data
// reaches the disk before its name does.
func (w *Writer) Commit() error {
	defer w.cancel()
	if w.file != nil {
		if err := w.file.Sync(); err != nil {
			w.Abort()
			return fmt.Errorf("sync %s: %w", w.key, err)
		}
	}
	if err := w.w.Close(); err != nil {
		return fmt.Errorf("write %s: %w", w.key, err)
	}
	if w.file != nil {
		if err := w.dirs.sync(filepath.Dir(w.file.Name())); err != nil {
			return fmt.Errorf("sync %s: %w", w.key, err)
		}
	}
	return nil
}

// Abort drops what was written.
func (w *Writer) Abort() {
	w.cancel() // a writer closed after its context has ended writes nothing
	_ = w.w.Close()
}

// syncedDirs syncs the directory entries of new files. It remembers which
// directories it has seen, since a new one needs its parents synced as well.
type syncedDirs struct{ known sync.Map }

// sync makes the entries of dir durable, and dir's own entry in its parents
// unless it is known to be.
func (d *syncedDirs) sync(dir string) error {
	if err := syncDir(dir); err != nil {
		return err
	}
	fresh := []string{}
	for d.isNew(dir) {
		fresh = append(fresh, dir)
		dir = filepath.Dir(dir)
		// Folders above the store may be closed to us; they are not new.
		if err := syncDir(dir); err != nil && !errors.Is(err, os.ErrPermission) {
			return err
		}
	}
	for _, dir := range fresh {
		d.known.Store(dir, struct{}{})
	}
	return nil
}

func (d *syncedDirs) isNew(dir string) bool {
	_, known := d.known.Load(dir)
	return !known && filepath.Dir(dir) != dir
}

func syncDir(dir string) error {
	f, err := os.Open(dir) //nolint:gosec // a directory of the store
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return f.Sync()
}
