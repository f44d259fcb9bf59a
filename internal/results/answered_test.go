package results_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/results"
	"github.com/headrace/headrace/internal/store"
)

func TestTheLinesWithAnAnswerAreFoundWhereverTheyAre(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	run := store.Run{Project: "default", Batch: "batch_00000000000000000000000000"}
	namer := results.NewNamer(run.Batch)
	answer := func(line int64, body string) string {
		return string(namer.AppendAnswer(nil, line, []byte(`"id"`), llm.Response{Status: 200, Body: []byte(body)}))
	}
	failure := string(namer.AppendFailure(nil, 9, []byte(`"id"`), &llm.Error{Status: 400, Body: []byte("{}")}))
	long := `{"text":"` + strings.Repeat("x", 300<<10) + `"}`
	put := func(key string, lines ...string) {
		require.NoError(t, s.Put(t.Context(), key, []byte(strings.Join(lines, ""))))
	}
	put(run.Output(0, "0-1"), answer(1, "{}"), answer(1_000_003, long), answer(64, long), answer(65, "{}"))
	put(run.Errors(0, "0-1"), failure)
	put(run.Segment(1, "1-1", 0), failure, answer(70, "{}"))

	var one results.Lines
	require.NoError(t, one.AddOutput(t.Context(), s, run.Output(0, "0-1")))
	require.Equal(t, []int64{1, 64, 65, 1_000_003}, among(&one))
	var all results.Lines
	require.NoError(t, all.AddAnswered(t.Context(), s, run))
	require.Equal(t, []int64{1, 64, 65, 70, 1_000_003}, among(&all))
	require.ErrorIs(t, all.AddOutput(t.Context(), s, run.Output(7, "0-1")), store.ErrNotFound)
}

// among returns the lines of a set.
func among(l *results.Lines) []int64 {
	var lines []int64
	for line := range int64(1_000_100) {
		if l.Has(line) {
			lines = append(lines, line)
		}
	}
	return lines
}
