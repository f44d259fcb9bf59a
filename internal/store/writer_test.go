package store_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/store"
)

// requireNothing checks that neither a key nor a file on the disk is left.
func (b *testBundle) requireNothing(t *testing.T) {
	t.Helper()
	require.Empty(t, collect(t, b.Keys(t.Context(), "")))
	require.Empty(t, b.paths(t))
}

// write begins to write key.
func (b *testBundle) write(ctx context.Context, t *testing.T, key, data string) *store.Writer {
	t.Helper()
	w, err := b.Create(ctx, key)
	require.NoError(t, err)
	n, err := w.Write([]byte(data))
	require.NoError(t, err)
	require.Len(t, data, n)
	return w
}

func TestAnObjectIsInvisibleUntilItIsCommitted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := b.write(t.Context(), t, "k", "one ")
	_, err := b.Get(t.Context(), "k")
	require.ErrorIs(t, err, store.ErrNotFound)
	require.Empty(t, collect(t, b.Keys(t.Context(), "")))
	require.Len(t, b.paths(t), 1, "a temporary file")

	_, err = w.Write([]byte("two"))
	require.NoError(t, err)
	require.NoError(t, w.Commit())
	got, err := b.Get(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, "one two", string(got))
	require.Equal(t, []string{"k"}, b.paths(t))
}

func TestAnAbortedWriteLeavesWhatWasThereBefore(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		b.write(t.Context(), t, "k", "never").Abort()
		b.requireNothing(t)

		require.NoError(t, b.Put(t.Context(), "k", []byte("old")))
		b.write(t.Context(), t, "k", "never").Abort()
		got, err := b.Get(t.Context(), "k")
		require.NoError(t, err)
		require.Equal(t, "old", string(got))
		require.Equal(t, []string{"k"}, b.paths(t))
	})
}

func TestAWriteWhoseContextEndsIsNotCommitted(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		ctx, cancel := context.WithCancel(t.Context())
		w := b.write(ctx, t, "k", "half")
		aborted := b.write(ctx, t, "l", "half")
		cancel()
		require.ErrorIs(t, w.Commit(), context.Canceled)
		aborted.Abort()
		b.requireNothing(t)
		require.ErrorIs(t, b.Put(ctx, "k", nil), context.Canceled)
		b.requireNothing(t)
	})
}

func TestAWriteWhoseFolderIsGoneFailsAndSaysSo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := b.write(t.Context(), t, "folder/k", "data")
	require.NoError(t, os.RemoveAll(filepath.Join(b.dir, "folder")))
	err := w.Commit()
	require.ErrorContains(t, err, "write folder/k: ")
	require.NotErrorIs(t, err, store.ErrNotFound, "that is for reading what was never written")
	b.requireNothing(t)

	require.NoError(t, b.Put(t.Context(), "folder/k", []byte("again")), "the folder is made anew")
	require.Equal(t, []string{"folder/k"}, collect(t, b.Keys(t.Context(), "")))
}

func TestAWriteThatCannotBeginSaysSo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.Put(t.Context(), "k", nil))
	err := b.Put(t.Context(), "k/deeper", []byte("x"))
	require.ErrorContains(t, err, "write k/deeper: ", "k is no folder")
	require.NotErrorIs(t, err, store.ErrNotFound)
	require.NoError(t, os.Mkdir(filepath.Join(b.dir, "taken"), 0o700))
	require.ErrorContains(t, b.Put(t.Context(), "taken", []byte("x")), "write taken: ", "a folder stands in its place")
	require.Equal(t, []string{"k"}, b.paths(t))
}

func TestAnAbortedWriterTakesNoMore(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		w := b.write(t.Context(), t, "k", "x")
		w.Abort()
		_, err := w.Write([]byte("y"))
		require.ErrorContains(t, err, "write k: ")
		require.Error(t, w.Commit())
		b.requireNothing(t)
	})
}
