package store_test

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
)

func TestOfManyWritersOfANewKeyOneSucceeds(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		var won atomic.Int64
		var all sync.WaitGroup
		for i := range 8 { // each as another process would
			s := b.again(t)
			all.Go(func() {
				err := s.PutNew(t.Context(), "a/b.000000", []byte(strconv.Itoa(i)))
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, store.ErrExists) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		require.Equal(t, int64(1), won.Load())
		require.Equal(t, []string{"a/b.000000"}, b.paths(t), "nothing is left of those who lost")
		require.NoError(t, b.PutNew(t.Context(), "a/b.000001", nil))
		require.ErrorIs(t, b.PutNew(t.Context(), "a/b.000001", nil), store.ErrExists, "nothing is something")
	})
}

func TestKeysOfTaskResultsTellWhoseTheyAre(t *testing.T) {
	t.Parallel()
	id := openai.NewID("")
	group, part, n, ok := store.TaskResultsOf(store.TaskResults("default", id, 3, 17))
	require.True(t, ok)
	require.Equal(t, id, group)
	require.Equal(t, 3, part)
	require.Equal(t, 17, n)
	_, _, _, ok = store.TaskResultsOf(store.TaskInput("default", id, 3))
	require.False(t, ok)
}
