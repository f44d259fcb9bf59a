package store_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
)

func TestMarkedBatchesAreListedNewestFirst(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		var ids []string
		for range 5 {
			r := store.Run{Project: project, Batch: openai.NewID(openai.PrefixBatch)}
			require.NoError(t, b.MarkBatch(t.Context(), r))
			require.NoError(t, b.Put(t.Context(), r.Output(1, "0-1"), []byte("x")), "a listing passes over what the run has written")
			ids = append(ids, r.Batch)
		}
		slices.Reverse(ids)
		require.Equal(t, ids, collect(t, b.BatchIDs(t.Context(), project)))
		require.Empty(t, collect(t, b.BatchIDs(t.Context(), "another")))
	})
}

func TestAMarkIsSetAndTakenBack(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		r := store.Run{Project: project, Batch: openai.NewID(openai.PrefixBatch)}
		marked := func(r store.Run) bool {
			ok, err := b.BatchMarked(t.Context(), r)
			require.NoError(t, err)
			return ok
		}
		require.False(t, marked(r))
		require.NoError(t, b.MarkBatch(t.Context(), r))
		require.NoError(t, b.MarkBatch(t.Context(), r))
		require.True(t, marked(r))
		require.False(t, marked(store.Run{Project: "another", Batch: r.Batch}))
		require.NoError(t, b.UnmarkBatch(t.Context(), r))
		require.NoError(t, b.UnmarkBatch(t.Context(), r))
		require.False(t, marked(r))
		b.requireNothing(t)
	})
}
