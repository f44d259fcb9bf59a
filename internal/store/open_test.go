package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/store"
)

func TestOpeningMakesTheFolderForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	s := open(t, dir)
	require.NoError(t, s.Put(t.Context(), "a/k", []byte("x")))
	for _, folder := range []string{dir, filepath.Join(dir, "a")} {
		info, err := os.Stat(folder)
		require.NoError(t, err)
		require.True(t, info.IsDir())
		require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	}
}

func TestAFileURLNamesAFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	require.NoError(t, open(t, "file://"+dir).Put(t.Context(), "k", []byte("x")))
	got, err := open(t, dir).Get(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, "x", string(got))
	require.FileExists(t, filepath.Join(dir, "k"))
}

func TestWhatIsStoredOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		f := b.upload(t)
		require.NoError(t, b.Put(t.Context(), "k", []byte("x")))
		if b.dir != "" { // memory is lost when it is closed
			require.NoError(t, b.Close())
		}

		again := b.again(t)
		got, err := again.Get(t.Context(), "k")
		require.NoError(t, err)
		require.Equal(t, "x", string(got))
		found, err := again.File(t.Context(), project, f.ID)
		require.NoError(t, err)
		require.Equal(t, f, found)
		r, err := again.OpenFile(t.Context(), project, found, 0, -1)
		require.Equal(t, f.ID, string(read(t, r, err)))
	})
}

func TestAClosedStoreSaysSo(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		require.NoError(t, b.Close())
		_, err := b.Get(t.Context(), "k")
		require.ErrorContains(t, err, "read k: ")
		require.NotErrorIs(t, err, store.ErrNotFound)
		require.Error(t, b.Put(t.Context(), "k", nil))
		require.Error(t, b.Delete(t.Context(), "k"))
		_, err = b.Exists(t.Context(), "k")
		require.Error(t, err)
		for _, err := range b.Keys(t.Context(), "") {
			require.Error(t, err)
		}
		require.NotErrorIs(t, b.PutNew(t.Context(), "k", nil), store.ErrExists)
	})
}

func TestALocationThatIsNoFolderIsAnErrorThatNamesIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, location := range []string{file, "file://" + file, filepath.Join(file, "below"), "magic://bucket", "s4://bucket?region=x"} {
		_, err := store.Open(t.Context(), location)
		require.ErrorContains(t, err, "open store "+location+": ")
	}
	require.FileExists(t, file)
}
