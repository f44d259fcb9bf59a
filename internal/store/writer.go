package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"gocloud.dev/blob"

	"github.com/headrace/headrace/internal/seal"
)

// Writer writes one object. Nothing is visible under its key until Commit
// returns; exactly one of Commit and Abort must be called. Memory does not grow
// with the object.
type Writer struct {
	store *Store
	key   string
	fresh bool // the key must hold nothing yet

	content io.WriteCloser // what is written, on its way into w
	w       *blob.Writer
	file    *os.File // the local file below w, nil for a remote store
	dog     *watchdog
	ended   bool
}

// Create begins to write key.
func (s *Store) Create(ctx context.Context, key string) (*Writer, error) {
	return s.create(ctx, key, unknownSize, false)
}

// unknownSize is that of an object which is written piece by piece.
const unknownSize = -1

func (s *Store) create(ctx context.Context, key string, size int, fresh bool) (*Writer, error) {
	ctx, dog := s.watch(ctx)
	w := &Writer{store: s, key: key, fresh: fresh, dog: dog}
	o := &blob.WriterOptions{
		DisableContentTypeDetection: true, // would buffer, and nobody reads it
		// The file system's own is not safe against a second process, see
		// linkFile.
		IfNotExist: fresh,
		BeforeWrite: func(as func(any) bool) error {
			as(&w.file)
			return nil
		},
	}
	if s.driver.buffer != nil && size != unknownSize {
		o.BufferSize = s.driver.buffer(int(seal.Furthest(0, int64(size))))
	}
	var err error
	if w.w, err = s.bucket.NewWriter(ctx, key, o); err == nil {
		w.content, err = s.keys.NewWriter(w.w, key)
	}
	if err != nil {
		w.dog.stop()
		return nil, w.failed(err)
	}
	return w, nil
}

// failed books a failure and says what it was.
func (w *Writer) failed(err error) error {
	// A store that is closed uses the same code for that.
	if w.fresh && isExisting(err) && !w.store.closed.Load() {
		w.store.health.wrote(nil)
		return fmt.Errorf("write %s: %w", w.key, ErrExists)
	}
	w.store.health.wrote(err)
	return fmt.Errorf("write %s: %w", w.key, masked(err))
}

// errEnded is returned for a writer after Commit or Abort.
var errEnded = errors.New("the writer has been closed")

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	if w.ended {
		return 0, fmt.Errorf("write %s: %w", w.key, errEnded)
	}
	told := w.store.observe(Write, w.key)
	done := w.dog.step(operationTimeout)
	n, err := w.content.Write(p)
	if err = done(err); err != nil {
		err = w.failed(err)
		told(err)
		return n, err
	}
	return n, nil
}

// Commit makes the object visible under its key. On a local folder its data
// reaches the disk before its name does.
func (w *Writer) Commit() error {
	if w.ended {
		return fmt.Errorf("write %s: %w", w.key, errEnded)
	}
	told := w.store.observe(Write, w.key)
	done := w.dog.step(commitTimeout)
	err := done(w.commit())
	w.Abort()
	if err != nil {
		err = w.failed(err)
	} else {
		w.store.health.wrote(nil)
	}
	told(err)
	return err
}

func (w *Writer) commit() error {
	if err := w.content.Close(); err != nil {
		return err
	}
	if w.file == nil {
		w.ended = true
		return w.w.Close()
	}
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	if w.fresh {
		if err := w.linkFile(); err != nil {
			return err
		}
	} else {
		w.ended = true
		if err := w.w.Close(); err != nil {
			return err
		}
	}
	if err := w.store.dirs.sync(filepath.Dir(w.file.Name())); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	return nil
}

// linkFile gives a file its name unless another has it: of several writers at
// most one succeeds, whichever process it is in. Abort removes the temporary
// name.
func (w *Writer) linkFile() error {
	// A link fails where a rename would replace.
	err := os.Link(w.file.Name(), finalName(w.file.Name()))
	if errors.Is(err, os.ErrExist) {
		return ErrExists
	}
	return err
}

// Abort drops what was written, unless it was committed.
func (w *Writer) Abort() {
	w.dog.stop() // a writer closed after its context has ended writes nothing
	if !w.ended {
		w.ended = true
		_ = w.w.Close()
	}
}

// finalName is the name that fileblob will give to a temporary file, which it
// calls so and then ".<time>.tmp".
func finalName(temporary string) string {
	name := strings.TrimSuffix(temporary, tempSuffix)
	return strings.TrimSuffix(name, filepath.Ext(name))
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
