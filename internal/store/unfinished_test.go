package store_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/store"
)

// kill leaves behind what a process does that is killed while it writes key, so
// long ago.
func (b *testBundle) kill(t *testing.T, key string, ago time.Duration) string {
	t.Helper()
	before := b.paths(t)
	w := b.write(t.Context(), t, key, "half")
	for _, path := range b.paths(t) {
		if !strings.HasPrefix(path, key+".") {
			continue
		}
		// Under another name, so that the writer does not clean it up.
		leftover := filepath.Join(b.dir, strings.TrimSuffix(path, ".tmp")+"0.tmp")
		require.NoError(t, os.Rename(filepath.Join(b.dir, path), leftover))
		w.Abort()
		at := time.Now().Add(-ago)
		require.NoError(t, os.Chtimes(leftover, at, at))
		return leftover
	}
	require.Fail(t, "no temporary file", "before: %v, after: %v", before, b.paths(t))
	return ""
}

func TestLeftoversAreNotListed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.FileExists(t, b.kill(t, "runs/1/k", time.Hour))
	require.NoError(t, b.Put(t.Context(), "runs/1/l", nil))
	require.Equal(t, []string{"runs/1/l"}, collect(t, b.Keys(t.Context(), "")))
	exists, err := b.Exists(t.Context(), "runs/1/k")
	require.NoError(t, err)
	require.False(t, exists)
}

func TestLeftoversAreDeletedByAgeAndPrefix(t *testing.T) {
	t.Parallel()
	b := setup(t)
	old, fresh, elsewhere := b.kill(t, "runs/1/k", 2*time.Hour), b.kill(t, "runs/1/l", 0), b.kill(t, "runs/2/k", 2*time.Hour)
	require.NoError(t, b.Put(t.Context(), "runs/1/m", nil))
	long := time.Now().Add(-24 * time.Hour)
	require.NoError(t, os.Chtimes(filepath.Join(b.dir, "runs/1/m"), long, long))

	require.NoError(t, b.DeleteUnfinished(t.Context(), "runs/1/", time.Hour))
	require.NoFileExists(t, old)
	require.FileExists(t, fresh)
	require.FileExists(t, elsewhere)
	require.NoError(t, b.DeleteUnfinished(t.Context(), "runs/1/", 0))
	require.NoFileExists(t, fresh)
	require.NoError(t, b.DeleteUnfinished(t.Context(), "", 0))
	require.Equal(t, []string{"runs/1/m"}, b.paths(t), "what was finished stays, however old")
}

func TestAWriterWhoseTemporaryFileWasDeletedDoesNotCommit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := b.write(t.Context(), t, "runs/1/k", "half")
	require.NoError(t, b.DeleteUnfinished(t.Context(), "runs/", 0))
	err := w.Commit()
	require.ErrorContains(t, err, "write runs/1/k: ")
	require.NotErrorIs(t, err, store.ErrNotFound)
	b.requireNothing(t)
}
