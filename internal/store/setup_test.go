package store_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"gocloud.dev/blob/memblob"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/seal"
	"github.com/headrace/headrace/internal/secret"
	"github.com/headrace/headrace/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(untilEnd{m}) }

// atEnd ends what outlives single tests.
var atEnd = func() {}

// untilEnd are the tests and then atEnd.
type untilEnd struct{ *testing.M }

// Run implements goleak.TestingM.
func (u untilEnd) Run() int {
	defer func() { atEnd() }()
	return u.M.Run()
}

// testBundle is a store of its own.
type testBundle struct {
	*store.Store

	dir string // where it keeps its objects, if that is a folder
	// reopen opens the same store as another process would.
	reopen  func(t *testing.T, o store.Options) *store.Store
	options store.Options
}

// again opens the same store with the same options.
func (b *testBundle) again(t *testing.T) *store.Store {
	t.Helper()
	return b.reopen(t, b.options)
}

// with returns what opens the same store with other keys.
func (b *testBundle) with(t *testing.T) func(*seal.Keys) *store.Store {
	t.Helper()
	return func(k *seal.Keys) *store.Store { return b.reopen(t, store.Options{Keys: k}) }
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	return setupFolder(t, store.Options{})
}

func setupFolder(t *testing.T, o store.Options) *testBundle {
	t.Helper()
	dir := t.TempDir()
	return opened(t, &testBundle{dir: dir, options: o, reopen: func(t *testing.T, o store.Options) *store.Store {
		t.Helper()
		return openWith(t, dir, o)
	}})
}

func setupMemory(t *testing.T, o store.Options) *testBundle {
	t.Helper()
	bucket := memblob.OpenBucket(nil)
	return opened(t, &testBundle{options: o, reopen: func(_ *testing.T, o store.Options) *store.Store { return store.On(bucket, o) }})
}

func opened(t *testing.T, b *testBundle) *testBundle {
	t.Helper()
	b.Store = b.again(t)
	return b
}

// kinds are the kinds of stores that there are. Tests of the cluster add some.
var kinds = map[string]func(*testing.T, store.Options) *testBundle{"folder": setupFolder, "memory": setupMemory}

// each runs a test on every kind of store, encrypted and not.
func each(t *testing.T, test func(t *testing.T, b *testBundle)) {
	t.Helper()
	for kind, setup := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(t, setup(t, store.Options{}))
		})
		t.Run("sealed "+kind, func(t *testing.T) {
			t.Parallel()
			test(t, setup(t, store.Options{Keys: keys(t, "k1")}))
		})
	}
}

// keys returns keys with the given ids; one id has always the same key.
func keys(tb testing.TB, ids ...string) *seal.Keys {
	tb.Helper()
	var all []seal.Key
	for _, id := range ids {
		raw := sha256.Sum256([]byte(id))
		all = append(all, seal.Key{ID: id, Secret: secret.New(hex.EncodeToString(raw[:]))})
	}
	k, err := seal.New(all...)
	require.NoError(tb, err)
	return k
}

func open(t *testing.T, location string) *store.Store {
	t.Helper()
	return openWith(t, location, store.Options{})
}

func openWith(tb testing.TB, location string, o store.Options) *store.Store {
	tb.Helper()
	s, err := store.OpenWith(tb.Context(), location, o)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = s.Close() }) // a test may have closed it
	return s
}

// paths returns the keys of all objects, and on a disk what else is there: the
// paths of all files, without the folder's own.
func (b *testBundle) paths(t *testing.T) []string {
	t.Helper()
	if b.dir == "" {
		return slices.Clip(collect(t, b.again(t).Keys(t.Context(), "")))
	}
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
