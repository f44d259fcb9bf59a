package store_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
)

var run = store.Run{Project: "p", Batch: "batch_1"}

// TestKeysOfARunAreSpelledAsStoresOnDiskHaveThem pins the keys: what is stored
// under other ones is lost.
func TestKeysOfARunAreSpelledAsStoresOnDiskHaveThem(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"batches/p/runs/batch_1/":                                     run.Prefix(),
		"batches/p/runs/batch_1/batch.json":                           run.Object(),
		"batches/p/runs/batch_1/index":                                run.Index(),
		"batches/p/runs/batch_1/problems.json":                        run.Problems(),
		"batches/p/runs/batch_1/commits/":                             run.CommitsPrefix(),
		"batches/p/runs/batch_1/commits/000012.json":                  run.Commits(12),
		"batches/p/runs/batch_1/chunks/":                              run.ChunksPrefix(),
		"batches/p/runs/batch_1/chunks/0000000012/":                   run.ChunkPrefix(12),
		"batches/p/runs/batch_1/chunks/0000000012/3-1.out":            run.Output(12, "3-1"),
		"batches/p/runs/batch_1/chunks/0000000012/3-1.err":            run.Errors(12, "3-1"),
		"batches/p/runs/batch_1/chunks/0000000012/3-1.000007.seg":     run.Segment(12, "3-1", 7),
		"batches/p/runs/batch_1/chunks/1000000000/3-1.out":            run.Output(1_000_000_000, "3-1"),
		"batches/p/runs/batch_1/chunks/0000000000/10-123.1000000.seg": run.Segment(0, "10-123", 1_000_000),
	} {
		require.Equal(t, want, got)
	}
}

func TestFilesAndMarksLieWhereStoresOnDiskHaveThem(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		upload := b.upload(t)
		output, m := b.output(t, "x")
		require.NoError(t, b.PinFile(t.Context(), project, upload.ID, "batch_1"))
		require.NoError(t, b.MarkBatch(t.Context(), run))
		require.ElementsMatch(t, []string{
			"files/default/data/" + upload.ID,
			"files/default/meta/" + upload.ID + ".json",
			"files/default/pins/" + upload.ID + "/batch_1",
			"files/default/meta/" + output.ID + ".json",
			"files/default/manifests/" + output.ID + ".json",
			"batches/p/created/batch_1",
			m.Parts[0].Key,
		}, b.paths(t))
	})
}

func TestTheChunkOfAKeyIsReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		chunk := rapid.Int64Range(0, 1_000_000_000).Draw(t, "chunk")
		holder := rapid.StringMatching(`[0-9]{1,4}-[0-9]{1,4}`).Draw(t, "holder")
		n := rapid.IntRange(0, 999_999).Draw(t, "segment")
		r := store.Run{Project: store.DefaultProject, Batch: openai.NewID(openai.PrefixBatch)}
		for _, key := range []string{r.Output(chunk, holder), r.Errors(chunk, holder), r.Segment(chunk, holder, n)} {
			require.True(t, strings.HasPrefix(key, r.ChunkPrefix(chunk)))
			require.True(t, strings.HasPrefix(key, r.ChunksPrefix()))
			require.True(t, strings.HasPrefix(key, r.Prefix()))
			got, ok := r.ChunkOf(key)
			require.True(t, ok, key)
			require.Equal(t, chunk, got)
		}
	})
}

func TestAKeyOfNoChunkHasNone(t *testing.T) {
	t.Parallel()
	for _, key := range []string{run.Object(), run.Index(), run.Problems(), run.Commits(1), run.ChunksPrefix(), ""} {
		_, ok := run.ChunkOf(key)
		require.False(t, ok, key)
	}
}

func TestKeysOfChunksSortByNumber(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		chunks := rapid.SliceOfN(rapid.Int64Range(0, 1_000_000_000), 1, 20).Draw(t, "chunks")
		slices.Sort(chunks)
		var keys, segments []string
		for i, chunk := range chunks {
			keys = append(keys, run.Output(chunk, "0-1"))
			segments = append(segments, run.Segment(7, "0-1", i*50_000))
		}
		require.True(t, slices.IsSorted(keys), "%v", keys)
		require.True(t, slices.IsSorted(segments), "%v", segments)
	})
}

// TestEveryKeyOfARunIsListedInOrder lists what a run may hold all at once. The
// order of keys and that of the folders they lie in must agree.
func TestEveryKeyOfARunIsListedInOrder(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		keys := []string{run.Object(), run.Index(), run.Problems(), run.Commits(0), run.Commits(1)}
		for _, chunk := range []int64{0, 1, 2, 9, 10, 11, 99, 100, 999_999_999, 1_000_000_000} {
			keys = append(keys, run.Output(chunk, "0-1"), run.Errors(chunk, "0-1"), run.Segment(chunk, "0-2", 0), run.Segment(chunk, "0-2", 1))
		}
		for _, key := range keys {
			require.NoError(t, b.Put(t.Context(), key, nil))
		}
		slices.Sort(keys)
		require.Equal(t, keys, collect(t, b.Keys(t.Context(), run.Prefix())))
	})
}
