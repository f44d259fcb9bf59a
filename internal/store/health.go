package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Times of checks.
const (
	// checkTimeout bounds Check, and each attempt to find credentials.
	checkTimeout = 12 * time.Second
	// readyTimeout bounds Ready.
	readyTimeout = 4 * time.Second
	// probeEvery is the shortest time between two probes of writing.
	probeEvery = 10 * time.Second
)

// probesPrefix starts the keys of objects by which processes find out whether
// the store works. They are deleted at once.
const probesPrefix = "probes/"

// Check finds out whether the store can be used: it writes a small object,
// finds that it cannot be written a second time, reads, lists and deletes it.
// It takes no longer than about 12 seconds. Its error says what to do about it
// and contains no secret.
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, checkTimeout, errSlow)
	defer cancel()
	key := probesPrefix + rand.Text()
	for _, step := range []struct {
		doing string
		do    func(context.Context, string) error
	}{
		{"write to it", s.checkWrite}, {"read from it", s.checkRead}, {"list what it has", s.checkList}, {"delete from it", s.checkDelete},
	} {
		if err := causeOf(ctx, step.do(ctx, key)); err != nil {
			return fmt.Errorf("cannot use the store %s: cannot %s: %w", s.location, step.doing, s.explain(err))
		}
	}
	return nil
}

const probeText = "headrace looks whether it can write here"

func (s *Store) checkWrite(ctx context.Context, key string) error {
	if err := s.PutNew(ctx, key, []byte(probeText)); err != nil && !errors.Is(err, ErrExists) {
		return err
	}
	if err := s.PutNew(ctx, key, nil); err == nil {
		return errors.New("it does not know conditional writes (If-None-Match), without which results could be lost: " +
			"use a server or version that does")
	} else if !errors.Is(err, ErrExists) {
		return err
	}
	return nil
}

func (s *Store) checkRead(ctx context.Context, key string) error {
	got, err := s.Get(ctx, key)
	if err == nil && string(got) != probeText {
		err = errors.New("it does not give back what was written")
	}
	return err
}

func (s *Store) checkList(ctx context.Context, key string) error {
	for listed, err := range s.Keys(ctx, key) {
		if err != nil || listed == key {
			return err
		}
	}
	return errors.New("it does not list what was written")
}

func (s *Store) checkDelete(ctx context.Context, key string) error {
	if err := s.Delete(ctx, key); err != nil {
		return err
	}
	_, err := s.Get(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err == nil {
		return errors.New("it still has what was deleted")
	}
	return fmt.Errorf("it does not say that an object is missing, as without the permission to list: %w", err)
}

// Ready reports whether the store answers, in at most four seconds. It asks for
// an object that is not there, which costs one request. It also reports that
// writes fail: the last write of this process tells, and when that failed, a
// probe every ten seconds at most, until one succeeds.
func (s *Store) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, errSlow)
	defer cancel()
	if s.driver.folder != "" {
		if _, err := os.Stat(s.driver.folder); err != nil {
			return fmt.Errorf("look up the store's folder: %w", err)
		}
	}
	if _, err := s.Get(ctx, probesPrefix+"ready"); err != nil && !errors.Is(err, ErrNotFound) {
		return s.explain(causeOf(ctx, err))
	}
	if err := s.health.trouble(func() { s.probe(ctx) }); err != nil {
		return fmt.Errorf("writing fails: %w", s.explain(err))
	}
	return nil
}

// probe writes an object and deletes it, so that health hears how that goes.
func (s *Store) probe(ctx context.Context) {
	key := probesPrefix + rand.Text()
	if s.Put(ctx, key, []byte(probeText)) == nil {
		_ = s.Delete(ctx, key)
	}
}

// health remembers whether writes fail.
type health struct {
	failing atomic.Bool

	mu     sync.Mutex
	err    error
	probed time.Time
}

// wrote is told of each write. One that was stopped tells nothing.
func (h *health) wrote(err error) {
	if err == nil && !h.failing.Load() || errors.Is(err, context.Canceled) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
	h.failing.Store(err != nil)
}

// trouble returns why writes fail, after a probe if it is time for one.
func (h *health) trouble(probe func()) error {
	if !h.failing.Load() {
		return nil
	}
	h.mu.Lock()
	due := time.Since(h.probed) >= probeEvery
	if due {
		h.probed = time.Now()
	}
	h.mu.Unlock()
	if due {
		probe()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}
