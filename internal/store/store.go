package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/gcerrors"
)

// ErrNotFound is returned for a key that holds nothing.
var ErrNotFound = errors.New("object not found")

// ErrExists is returned for a key that should have held nothing.
var ErrExists = errors.New("object exists")

// Store keeps objects under keys. It is safe for concurrent use.
type Store struct {
	bucket   *blob.Bucket
	folder   string // on this machine, "" if the store is none
	dirs     syncedDirs
	observer Observer
}

// Open opens the store at location: a folder's path or a file:// URL. The
// folder is made if it is missing.
func Open(ctx context.Context, location string) (*Store, error) {
	bucket, folder, err := openBucket(ctx, location)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", location, err)
	}
	return &Store{bucket: bucket, folder: folder}, nil
}

func openBucket(ctx context.Context, location string) (bucket *blob.Bucket, folder string, err error) {
	if u, err := url.Parse(location); err == nil && u.Scheme != "" && u.Scheme != fileblob.Scheme {
		bucket, err := blob.OpenBucket(ctx, location)
		return bucket, "", err
	}
	folder, err = filepath.Abs(strings.TrimPrefix(location, fileblob.Scheme+"://"))
	if err != nil {
		return nil, "", err
	}
	// Temporary files stand beside the final ones, so that the rename never
	// crosses a file system.
	bucket, err = fileblob.OpenBucket(folder, &fileblob.Options{
		CreateDir: true, DirFileMode: 0o700, NoTempDir: true, Metadata: fileblob.MetadataDontWrite,
	})
	return bucket, folder, err
}

// Close releases the store.
func (s *Store) Close() error { return s.bucket.Close() }

// Put writes data under key, whole or not at all, replacing what was there.
func (s *Store) Put(ctx context.Context, key string, data []byte) error {
	w, err := s.Create(ctx, key)
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		w.Abort()
		return err
	}
	return w.Commit()
}

// PutNew writes data under key, whole or not at all, unless the key holds
// something: then it returns ErrExists.
func (s *Store) PutNew(ctx context.Context, key string, data []byte) error {
	w, err := s.create(ctx, key, true)
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		w.Abort()
		return err
	}
	return w.CommitNew()
}

// PutJSON writes v as JSON under key.
func (s *Store) PutJSON(ctx context.Context, key string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	return s.Put(ctx, key, data)
}

// Get returns what key holds, or ErrNotFound.
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	begun := s.observer.begin()
	data, err := s.bucket.ReadAll(ctx, key)
	if err != nil {
		err = wrap("read", key, err)
	}
	s.observer.end(Read, key, begun, err)
	return data, err
}

// GetJSON decodes what key holds into v, or returns ErrNotFound.
func (s *Store) GetJSON(ctx context.Context, key string, v any) error {
	data, err := s.Get(ctx, key)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("decode %s: %w", key, err)
	}
	return nil
}

// Reader reads length bytes of key from offset on; a negative length reads to
// the end. It returns ErrNotFound for a key that holds nothing.
func (s *Store) Reader(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	begun := s.observer.begin()
	r, err := s.bucket.NewRangeReader(ctx, key, offset, length, nil)
	if err != nil {
		err = wrap("read", key, err)
	}
	s.observer.end(Read, key, begun, err)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Range reads length bytes of key from offset on, all of them or none.
func (s *Store) Range(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	r, err := s.Reader(ctx, key, offset, length)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	data := make([]byte, length)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, wrap("read", key, err)
	}
	return data, nil
}

// Exists reports whether key holds anything.
func (s *Store) Exists(ctx context.Context, key string) (bool, error) {
	begun := s.observer.begin()
	ok, err := s.bucket.Exists(ctx, key)
	if err != nil {
		err = wrap("look up", key, err)
	}
	s.observer.end(Lookup, key, begun, err)
	return ok, err
}

// Delete removes key. It is no error if key holds nothing.
func (s *Store) Delete(ctx context.Context, key string) error {
	begun := s.observer.begin()
	err := s.bucket.Delete(ctx, key)
	if gcerrors.Code(err) == gcerrors.NotFound {
		err = nil
	}
	if err != nil {
		err = wrap("delete", key, err)
	}
	s.observer.end(Delete, key, begun, err)
	return err
}

// Keys yields every key that starts with prefix, in order. Objects that are
// still being written are not among them.
func (s *Store) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for obj, err := range s.list(ctx, prefix) {
			if err != nil {
				yield("", err)
				return
			}
			if !strings.HasSuffix(obj.Key, tempSuffix) && !yield(obj.Key, nil) {
				return
			}
		}
	}
}

// DeleteUnfinished deletes what is left below prefix of writes that neither
// succeeded nor failed, since their process was killed, and that are older than
// age. Only a local folder has such leftovers.
func (s *Store) DeleteUnfinished(ctx context.Context, prefix string, age time.Duration) error {
	for obj, err := range s.list(ctx, prefix) {
		if err != nil {
			return err
		}
		if !strings.HasSuffix(obj.Key, tempSuffix) || time.Since(obj.ModTime) < age {
			continue
		}
		if err := s.Delete(ctx, obj.Key); err != nil {
			return err
		}
	}
	return nil
}

// Sizes of the pages in which objects are listed. A local folder is walked from
// its start for every page, so each is larger than the one before.
const (
	firstPage   = 1000
	growth      = 4
	largestPage = 1 << 18
)

func (s *Store) list(ctx context.Context, prefix string) iter.Seq2[*blob.ListObject, error] {
	return func(yield func(*blob.ListObject, error) bool) {
		token := blob.FirstPageToken
		for size := firstPage; len(token) > 0; size = min(size*growth, largestPage) {
			page, next, err := s.listPage(ctx, token, size, prefix)
			if err != nil {
				yield(nil, wrap("list", prefix, err))
				return
			}
			for _, obj := range page {
				if !yield(obj, nil) {
					return
				}
			}
			token = next
		}
	}
}

// listTries bounds how often one page is listed.
const listTries = 100

// listPage lists one page. The walk through a local folder breaks off when an
// object is deleted under it, which is no reason to fail.
func (s *Store) listPage(ctx context.Context, token []byte, size int, prefix string) (page []*blob.ListObject, next []byte, err error) {
	begun := s.observer.begin()
	defer func() { s.observer.end(List, prefix, begun, err) }()
	for range listTries {
		page, next, err = s.bucket.ListPage(ctx, token, size, &blob.ListOptions{Prefix: prefix})
		if gcerrors.Code(err) != gcerrors.NotFound && !errors.Is(err, os.ErrNotExist) {
			break
		}
	}
	return page, next, err
}

// tempSuffix ends the names of files that fileblob has not renamed yet. A
// killed process leaves them behind; no key of ours ends so.
const tempSuffix = ".tmp"

// wrap says what failed. A missing object is ErrNotFound, which makes sense for
// reading only: a write that finds its file or folder gone has failed.
func wrap(operation, key string, err error) error {
	if gcerrors.Code(err) == gcerrors.NotFound || errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s %s: %w", operation, key, ErrNotFound)
	}
	return fmt.Errorf("%s %s: %w", operation, key, err)
}
