package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// Writer writes one object. Nothing is visible under its key until Commit
// returns; exactly one of Commit and Abort must be called.
type Writer struct {
	w      *blob.Writer
	file   *os.File // the local file below w, nil for a remote store
	cancel context.CancelFunc
	key    string
	dirs   *syncedDirs

	observer Observer
}

// Create begins to write key.
func (s *Store) Create(ctx context.Context, key string) (*Writer, error) {
	return s.create(ctx, key, false)
}

func (s *Store) create(ctx context.Context, key string, fresh bool) (*Writer, error) {
	ctx, cancel := context.WithCancel(ctx)
	w := &Writer{cancel: cancel, key: key, dirs: &s.dirs, observer: s.observer}
	bw, err := s.bucket.NewWriter(ctx, key, &blob.WriterOptions{
		DisableContentTypeDetection: true, // would buffer, and nobody reads it
		// The file system's own is not safe against a second process, see
		// CommitNew.
		IfNotExist: fresh,
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
	begun := w.observer.begin()
	n, err := w.w.Write(p)
	if err != nil {
		err = fmt.Errorf("write %s: %w", w.key, err)
		w.observer.end(Write, w.key, begun, err)
	}
	return n, err
}

// Commit makes the object visible under its key. On a local folder its data
// reaches the disk before its name does.
func (w *Writer) Commit() error {
	begun := w.observer.begin()
	err := w.commit()
	w.observer.end(Write, w.key, begun, err)
	return err
}

func (w *Writer) commit() error {
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

// CommitNew is Commit for a key that must not hold anything yet: otherwise it
// drops what was written and returns ErrExists. Of several writers at most one
// succeeds, whichever process it is in.
func (w *Writer) CommitNew() error {
	begun := w.observer.begin()
	err := w.commitNew()
	w.observer.end(Write, w.key, begun, err)
	return err
}

func (w *Writer) commitNew() error {
	if w.file == nil {
		if err := w.commit(); gcerrors.Code(err) == gcerrors.FailedPrecondition {
			return fmt.Errorf("write %s: %w", w.key, ErrExists)
		} else { //nolint:revive // the error is of this branch alone
			return err
		}
	}
	defer w.Abort() // removes the temporary name
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", w.key, err)
	}
	// A link fails where a rename would replace.
	err := os.Link(w.file.Name(), finalName(w.file.Name()))
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("write %s: %w", w.key, ErrExists)
	}
	if err == nil {
		err = w.dirs.sync(filepath.Dir(w.file.Name()))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", w.key, err)
	}
	return nil
}

// finalName is the name that fileblob will give to a temporary file, which it
// calls so and then ".<time>.tmp".
func finalName(temporary string) string {
	name := strings.TrimSuffix(temporary, tempSuffix)
	return strings.TrimSuffix(name, filepath.Ext(name))
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
