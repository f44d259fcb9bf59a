package store

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"gocloud.dev/blob"

	"github.com/headrace/headrace/internal/seal"
)

// Store keeps objects under keys. It is safe for concurrent use.
type Store struct {
	bucket   *blob.Bucket
	driver   driver
	location string // as it may be shown
	keys     *seal.Keys
	dirs     syncedDirs
	health   health
	closed   atomic.Bool
	observer Observer
}

// Close releases the store.
func (s *Store) Close() error {
	s.closed.Store(true)
	if s.driver.close != nil {
		defer s.driver.close()
	}
	return s.bucket.Close()
}

// Put writes data under key, whole or not at all, replacing what was there.
func (s *Store) Put(ctx context.Context, key string, data []byte) error {
	ctx, done := s.bounded(ctx, len(data))
	return done(s.put(ctx, key, data, false))
}

// conflicts is how often PutNew tries again when another writer of the key is
// under way, and conflictPause how long it waits before.
const (
	conflicts     = 10
	conflictPause = 50 * time.Millisecond
)

// PutNew writes data under key, whole or not at all, unless the key holds
// something: then it returns ErrExists. A write that did succeed may be reported
// so, when its first answer was lost on the way; whoever must know looks whose
// object it is.
func (s *Store) PutNew(ctx context.Context, key string, data []byte) error {
	ctx, done := s.bounded(ctx, len(data))
	for try := 0; ; try++ {
		err := s.put(ctx, key, data, true)
		if try == conflicts || answerOf(err).code != s3Conflict {
			return done(err)
		}
		timer := time.NewTimer(conflictPause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (s *Store) put(ctx context.Context, key string, data []byte, fresh bool) error {
	w, err := s.create(ctx, key, len(data), fresh)
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		w.Abort()
		return err
	}
	return w.Commit()
}

// PutJSON writes v as JSON under key.
func (s *Store) PutJSON(ctx context.Context, key string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	return s.Put(ctx, key, data)
}
