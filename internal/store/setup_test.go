package store_test

import (
	"io"
	"iter"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testBundle is a store in a folder of its own.
type testBundle struct {
	*store.Store

	dir string
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	dir := t.TempDir()
	return &testBundle{open(t, dir), dir}
}

func open(t *testing.T, location string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), location)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() }) // a test may have closed it
	return s
}

// paths returns the paths of all files on the disk, without the folder's own.
func (b *testBundle) paths(t *testing.T) []string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(b.dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			paths = append(paths, path[len(b.dir)+1:])
		}
		return err
	})
	require.NoError(t, err)
	return paths
}

// collect takes all values of a listing that must not fail.
func collect(t require.TestingT, seq iter.Seq2[string, error]) []string {
	values := []string{}
	for value, err := range seq {
		require.NoError(t, err)
		values = append(values, value)
	}
	return values
}

// read reads all of what was opened.
func read(t require.TestingT, r io.ReadCloser, err error) []byte {
	require.NoError(t, err)
	data, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return data
}

// project owns the files of the tests.
const project = store.DefaultProject

// newFile is the description of an uploaded file.
func newFile() openai.File {
	return openai.File{
		ID: openai.NewID(openai.PrefixFile), Object: openai.ObjectFile, Bytes: 5, CreatedAt: 1767225600,
		Filename: "input.jsonl", Purpose: openai.PurposeBatch, Status: openai.StatusProcessed,
	}
}

// upload stores a file whose content is its own id.
func (b *testBundle) upload(t *testing.T) openai.File {
	t.Helper()
	f := newFile()
	w, err := b.CreateFileData(t.Context(), project, f.ID)
	require.NoError(t, err)
	_, err = io.WriteString(w, f.ID)
	require.NoError(t, err)
	require.NoError(t, w.Commit())
	require.NoError(t, b.SaveFile(t.Context(), project, f))
	return f
}
