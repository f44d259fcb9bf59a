package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// folders are what the keys of all objects begin with. A store's folder may have
// other things in it, which are not ours.
func folders() []string {
	return []string{"answers", "batches", "files", "probes", "queues", "tasks", "webhooks"}
}

// DeleteLeftovers deletes in the whole store what is left of writes whose process
// was killed, and that were last heard of more than age ago: see DeleteUnfinished.
// It takes its time, so that a store with millions of objects can be in use
// meanwhile.
func (s *Store) DeleteLeftovers(ctx context.Context, age time.Duration) error {
	if s.driver.folder == "" {
		return nil
	}
	seen := 0
	for _, folder := range folders() {
		err := filepath.WalkDir(filepath.Join(s.driver.folder, folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return unlessGone(err)
			}
			if err := rest(ctx, &seen); err != nil {
				return err
			}
			if entry.IsDir() || !strings.HasSuffix(path, tempSuffix) {
				return nil
			}
			return unlessGone(deleteOld(path, entry, age))
		})
		if err != nil {
			return fmt.Errorf("delete leftovers: %w", err)
		}
	}
	return nil
}

// A walk through a folder rests so long after so many names. Of a million it takes
// a minute.
const (
	namesAtOnce = 250
	restTime    = 10 * time.Millisecond
)

// rest counts a name, and rests when it is time to.
func rest(ctx context.Context, seen *int) error {
	if *seen++; *seen%namesAtOnce != 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(restTime)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// deleteOld deletes a file that was not written to for so long.
func deleteOld(path string, entry fs.DirEntry, age time.Duration) error {
	info, err := entry.Info()
	if err != nil || time.Since(info.ModTime()) < age {
		return err
	}
	return os.Remove(path)
}

// unlessGone passes over what others have deleted meanwhile.
func unlessGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
