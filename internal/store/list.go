package store

import (
	"context"
	"errors"
	"iter"
	"os"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
	"golang.org/x/sync/errgroup"
)

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
// age. Only a folder has such leftovers among its objects; a bucket keeps the
// parts of unfinished uploads elsewhere and should be told to delete them after
// a day.
func (s *Store) DeleteUnfinished(ctx context.Context, prefix string, age time.Duration) error {
	if s.driver.remote() {
		return nil
	}
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
// its start for every page, so each is larger than the one before. A bucket
// gives no more than a thousand at once.
const (
	firstPage   = 1000
	growth      = 4
	largestPage = 1 << 18
)

func (s *Store) list(ctx context.Context, prefix string) iter.Seq2[*blob.ListObject, error] {
	return func(yield func(*blob.ListObject, error) bool) {
		token := blob.FirstPageToken
		for size := firstPage; len(token) > 0; {
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
			if !s.driver.remote() {
				size = min(size*growth, largestPage)
			}
		}
	}
}

// listTries bounds how often one page is listed.
const listTries = 100

// listPage lists one page. The walk through a local folder breaks off when an
// object is deleted under it, which is no reason to fail.
func (s *Store) listPage(ctx context.Context, token []byte, size int, prefix string) (page []*blob.ListObject, next []byte, err error) {
	told := s.observe(List, prefix)
	defer func() { told(err) }()
	for range listTries {
		bounded, done := s.bounded(ctx, 0)
		page, next, err = s.bucket.ListPage(bounded, token, size, &blob.ListOptions{Prefix: prefix})
		err = done(err)
		if s.driver.remote() || gcerrors.Code(err) != gcerrors.NotFound && !errors.Is(err, os.ErrNotExist) {
			break
		}
	}
	return page, next, err
}

// tempSuffix ends the names of files that fileblob has not renamed yet. A
// killed process leaves them behind; no key of ours ends so.
const tempSuffix = ".tmp"

// Delete removes key. It is no error if key holds nothing.
func (s *Store) Delete(ctx context.Context, key string) error {
	told := s.observe(Delete, key)
	ctx, done := s.bounded(ctx, 0)
	err := done(s.remove(ctx, key))
	if isNotFound(err) {
		err = nil
	}
	if told(err); err != nil {
		return wrap("delete", key, err)
	}
	return nil
}

func (s *Store) remove(ctx context.Context, key string) error {
	if s.driver.remove != nil && !s.closed.Load() {
		if ok, err := s.driver.remove(ctx, key); ok {
			return err
		}
	}
	return s.bucket.Delete(ctx, key)
}

// deleters is how many objects are deleted at a time.
const deleters = 16

// DeleteAll removes keys, several at a time. It ends with the first error; what
// was deleted by then is gone. It is no error if a key holds nothing.
func (s *Store) DeleteAll(ctx context.Context, keys iter.Seq2[string, error]) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(deleters)
	var failed error
	for key, err := range keys {
		if failed = err; err != nil || ctx.Err() != nil {
			break
		}
		group.Go(func() error { return s.Delete(ctx, key) })
	}
	return errors.Join(failed, group.Wait())
}
