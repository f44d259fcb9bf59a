package devserver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

// ErrLocked is wrapped by the error of Start when another server uses the
// folder.
var ErrLocked = errors.New("folder is in use")

const lockName = "temporal.lock"

// lock holds a folder for one server. The operating system drops it with the
// process, however that ends, so that a file left behind blocks nobody.
type lock struct {
	file *flock.Flock
}

// acquire makes the folder if need be, takes its lock and writes the process id
// into it for whoever comes next.
func acquire(dir string) (*lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	path := filepath.Join(dir, lockName)
	l := &lock{file: flock.New(path, flock.SetPermissions(0o600))}
	ok, err := l.file.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock folder %s: %w", dir, err)
	}
	if !ok {
		return nil, fmt.Errorf("lock folder %s: %w by %s; stop it or choose another folder", dir, ErrLocked, holder(path))
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("lock folder %s: %w", dir, err), l.release())
	}
	return l, nil
}

// holder describes the process that has the lock at path.
func holder(path string) string {
	content, err := os.ReadFile(path) //nolint:gosec // the path is ours
	if err != nil {
		return "another process"
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	switch {
	case err != nil:
		return "another process"
	case pid == os.Getpid():
		return "another server of this process"
	default:
		return fmt.Sprintf("process %d", pid)
	}
}

// release gives the folder up. The file stays: removing it would let two
// processes lock two files of one name.
func (l *lock) release() error { return l.file.Unlock() }
