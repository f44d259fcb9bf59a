package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMarkedQueuesAreListedWhateverTheirNames(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		require.Empty(t, collect(t, b.QueueNames(t.Context())))
		names := []string{"default", "a.json", "a", "x.tmp", ".", "..", "UPPER_lower-1"}
		for range 2 {
			for _, name := range names {
				require.NoError(t, b.MarkQueue(t.Context(), name))
			}
		}
		require.ElementsMatch(t, names, collect(t, b.QueueNames(t.Context())))
		for name, want := range map[string]bool{"a": true, "..": true, "b": false} {
			marked, err := b.QueueMarked(t.Context(), name)
			require.NoError(t, err)
			require.Equal(t, want, marked, name)
		}
		require.Contains(t, b.paths(t), "queues/default.json")
	})
}
