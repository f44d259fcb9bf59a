package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	main "github.com/headrace/headrace/bench"
)

// A figure counts only if these checks find what is wrong with an output.
func TestOnlyACompleteOutputPasses(t *testing.T) {
	t.Parallel()
	answer := func(id string) string { return `{"custom_id":"` + id + `","response":{"choices":[]}}` }
	first, second, third := answer("request-00000000"), answer("request-00000001"), answer("request-00000002")
	for _, c := range []struct {
		name    string
		lines   []string
		ordered bool
		wrong   string // "" if nothing is
	}{
		{"complete", []string{first, second, third}, true, ""},
		{"complete in any order", []string{third, first, second}, false, ""},
		{"out of order", []string{first, third, second}, true, "line 2"},
		{"one lost", []string{first, second}, true, "2 of 3"},
		{"one doubled", []string{first, second, second}, false, "twice"},
		{"one too many", []string{first, second, third, answer("request-00000003")}, false, "not asked"},
		{"one foreign", []string{first, second, answer("request-2")}, false, "not asked"},
		{"one failed", []string{first, second, `{"custom_id":"request-00000002","error":{}}`}, true, "no answer"},
		{"empty", nil, true, "0 of 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "output.jsonl")
			require.NoError(t, os.WriteFile(path, []byte(strings.Join(c.lines, "\n")), 0o600))
			err := main.CheckOutput(path, 3, c.ordered)
			if c.wrong == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.wrong)
		})
	}
}

func TestQuantilesAreValuesThatWereSeen(t *testing.T) {
	t.Parallel()
	var hundred []float64
	for i := 100; i > 0; i-- {
		hundred = append(hundred, float64(i))
	}
	require.InDelta(t, 99, main.Quantile(hundred, 0.99), 0)
	require.InDelta(t, 100, main.Quantile(hundred, 1), 0)
	require.InDelta(t, 50.5, main.Median(hundred), 0)
	require.InDelta(t, 3, main.Quantile([]float64{2, 3, 1}, 0.99), 0)
	require.InDelta(t, 2, main.Median([]float64{2, 3, 1}), 0)
	require.InDelta(t, 7, main.Quantile([]float64{7}, 0.99), 0)
}

func TestATargetIsReachedAtItsLimit(t *testing.T) {
	t.Parallel()
	require.Equal(t, main.Reached, main.AtMost(1.03).Judge(1.03))
	require.Equal(t, main.Missed, main.AtMost(1.03).Judge(1.031))
	require.Equal(t, main.Reached, main.AtLeast(60).Judge(60))
	require.Equal(t, main.Missed, main.AtLeast(60).Judge(59.9))
}

func TestWhatFinishedBeforeIsNeverOverstated(t *testing.T) {
	t.Parallel()
	var counts main.Counts
	counts.Note(100, 5)
	counts.Note(110, 7)
	counts.Note(120, 9)
	require.Zero(t, counts.Before(99))
	require.EqualValues(t, 5, counts.Before(109))
	require.EqualValues(t, 7, counts.Before(110))
	require.EqualValues(t, 9, counts.Before(500))
}
