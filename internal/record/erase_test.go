package record_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/record"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/task"
)

// everything is all that a store has under all keys of a project's tasks.
func everything(t *testing.T, s *store.Store, project string) string {
	t.Helper()
	var all strings.Builder
	for key, err := range s.Keys(t.Context(), store.TasksPrefix(project)) {
		require.NoError(t, err)
		data, err := s.Get(t.Context(), key)
		require.NoError(t, err)
		all.WriteString(key + "\n" + string(data) + "\n")
	}
	return all.String()
}

func TestATaskThatIsErasedLeavesNothingAndTakesNothingAlong(t *testing.T) {
	t.Parallel()
	s, part := open(t)
	var all []record.Result
	for n := range 3 {
		all = append(all, result(t, part, n, []byte("answer of "+part.ID(n).String())))
	}
	keep(t, s, part, all...)
	keep(t, s, part, result(t, part, 3, []byte("answer of the fourth")))
	piece := store.TaskStream(part.Project, part.Group, 1, 0)
	require.NoError(t, s.Put(t.Context(), piece, []byte("streamed")))

	require.NoError(t, record.Erase(t.Context(), s, part.Project, part.ID(1)))
	require.NotContains(t, everything(t, s, part.Project), "answer of "+part.ID(1).String())
	require.NotContains(t, everything(t, s, part.Project), "streamed")
	gone, err := record.Find(t.Context(), s, part.Project, part.ID(1))
	require.NoError(t, err)
	require.True(t, gone.Deleted)
	require.Nil(t, gone.Result)
	for _, n := range []int{0, 2, 3} {
		o, err := record.Find(t.Context(), s, part.Project, part.ID(n))
		require.NoError(t, err)
		require.NotEmpty(t, o.Result.Body)
	}
	there, next, err := record.Load(t.Context(), s, part)
	require.NoError(t, err)
	require.Len(t, there, 4, "whoever resumes the part does not call again")
	require.NoError(t, record.Erase(t.Context(), s, part.Project, part.ID(1)), "it may be repeated")

	require.NoError(t, record.Erase(t.Context(), s, part.Project, part.ID(9)))
	gone, err = record.Find(t.Context(), s, part.Project, part.ID(9))
	require.NoError(t, err)
	require.True(t, gone.Deleted, "a task without a result is gone, too")
	_, after, err := record.Load(t.Context(), s, part)
	require.NoError(t, err)
	require.Equal(t, next+1, after)
}

// TestErasersOfOneObjectBringNothingBack has every task of an object erased at once.
func TestErasersOfOneObjectBringNothingBack(t *testing.T) {
	t.Parallel()
	s, part := open(t)
	const tasks = 12
	var results []record.Result
	for n := range tasks {
		results = append(results, result(t, part, n, []byte("private")))
	}
	keep(t, s, part, results...)
	var all sync.WaitGroup
	for n := range tasks {
		all.Go(func() {
			if err := record.Erase(context.WithoutCancel(t.Context()), s, part.Project, part.ID(n)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.NotContains(t, everything(t, s, part.Project), "private")
}

// keep writes results as an object of their own.
func keep(t *testing.T, s *store.Store, part task.Part, results ...record.Result) {
	t.Helper()
	_, next, err := record.Load(t.Context(), s, part)
	require.NoError(t, err)
	var kept sync.WaitGroup
	kept.Add(len(results))
	j := record.NewJournal(s)
	defer j.Close()
	page := j.Open(part, next, func(record.Result) { kept.Done() })
	page.Expect(len(results))
	for _, r := range results {
		page.Put(r)
	}
	kept.Wait()
}
