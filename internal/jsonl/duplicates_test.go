package jsonl_test

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/jsonl"
	"github.com/headrace/headrace/internal/openai"
)

// TestTheDuplicateFinderAgreesWithAMap runs over spilled runs of any length,
// down to one sighting each.
func TestTheDuplicateFinderAgreesWithAMap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfN(rapid.StringMatching(`[a-c]{1,3}`), 1, 200).Draw(t, "ids")
		var text strings.Builder
		var want []string
		first := map[string]int{}
		for i, id := range ids {
			fmt.Fprintln(&text, requestWithID(`"`+id+`"`))
			if at, ok := first[id]; ok {
				want = append(want, fmt.Sprintf("line %d: used on line %d", i+1, at))
			} else {
				first[id] = i + 1
			}
		}
		s, err := jsonl.PlanWithin(t.Context(), strings.NewReader(text.String()), io.Discard,
			jsonl.PlanOptions{Endpoint: openai.ChatCompletions, TempDir: dir},
			spilling(rapid.IntRange(0, 100).Draw(t, "ids in memory")))
		require.NoError(t, err)
		var got []string
		for _, e := range s.Errors {
			var at int
			_, err := fmt.Sscanf(e.Message, "The custom_id of this request is already used by the request on line %d.", &at)
			require.NoError(t, err)
			got = append(got, fmt.Sprintf("line %d: used on line %d", *e.Line, at))
		}
		require.Equal(t, want, got)
		require.EqualValues(t, len(want), s.ErrorCount)
	})
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "the temporary files must go")
}

func TestDuplicatesAreFoundAcrossSpilledRuns(t *testing.T) {
	t.Parallel()
	const lines = 20_000
	in := io.MultiReader(newSynthetic(lines, 0), newSynthetic(lines, 0)) // the same custom_ids twice
	s, err := jsonl.PlanWithin(t.Context(), in, io.Discard,
		jsonl.PlanOptions{Endpoint: openai.ChatCompletions, TempDir: t.TempDir()}, spilling(1000))
	require.NoError(t, err)
	require.EqualValues(t, lines, s.ErrorCount)
	require.Len(t, s.Errors, jsonl.MaxErrors)
	for i, e := range s.Errors {
		require.Equal(t, openai.CodeDuplicateCustomID, e.Code)
		require.EqualValues(t, lines+i+1, *e.Line)
	}
}

// spilling are limits that leave room for so many custom_ids in memory.
func spilling(ids int) jsonl.Limits {
	return jsonl.Limits{
		Buffer: 64 << 10, Line: 1 << 20, ChunkRequests: 500, ChunkBytes: 1 << 20, TailLines: 1000, IDBudget: 24 * ids,
	}
}
