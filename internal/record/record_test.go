package record_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/record"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T) (*store.Store, task.Part) {
	t.Helper()
	s, err := store.Open(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s, task.Part{Project: "default", Group: task.NewGroup()}
}

// result is that of a task whose answer has the given body.
func result(t require.TestingT, part task.Part, n int, body []byte) record.Result {
	o := task.New(part.ID(n), task.Spec{URL: "/v1/embeddings"}, task.Now())
	o.Status = task.Completed
	o.Result = &task.Result{StatusCode: 200, Body: body}
	r, err := record.NewResult(n, o)
	require.NoError(t, err)
	return r
}

func TestResultsThatComeTogetherAreWrittenTogetherAndFound(t *testing.T) {
	t.Parallel()
	s, part := open(t)
	j := record.NewJournal(s)
	defer j.Close()
	var kept sync.WaitGroup
	kept.Add(20)
	page := j.Open(part, 0, func(record.Result) { kept.Done() })
	page.Expect(20)
	for n := range 20 {
		page.Put(result(t, part, n, bytes.Repeat([]byte{byte(n), '\n'}, n)))
	}
	kept.Wait()
	_, next, err := record.Load(t.Context(), s, part)
	require.NoError(t, err)
	require.LessOrEqual(t, next, 2)
	for n := range 20 {
		o, err := record.Find(t.Context(), s, part.Project, part.ID(n))
		require.NoError(t, err)
		require.Equal(t, bytes.Repeat([]byte{byte(n), '\n'}, n), append([]byte{}, o.Result.Body...))
		require.Equal(t, part.ID(n).String(), o.ID)
	}
	_, err = record.Find(t.Context(), s, part.Project, part.ID(20))
	require.ErrorIs(t, err, store.ErrNotFound)
	all, err := record.List(t.Context(), s, part)
	require.NoError(t, err)
	require.Len(t, all, 20)
	require.Empty(t, all[7].Result.Body)
}

func TestAResultIsKeptSoonThoughOthersAreExpected(t *testing.T) {
	t.Parallel()
	s, part := open(t)
	j := record.NewJournal(s)
	defer j.Close()
	kept := make(chan record.Result)
	page := j.Open(part, 0, func(r record.Result) { kept <- r })
	page.Expect(2)
	page.Put(result(t, part, 1, nil))
	select {
	case r := <-kept:
		require.Equal(t, 1, r.N)
	case <-time.After(time.Minute):
		require.Fail(t, "not kept")
	}
}

// TestWhoeverWritesTheFirstResultOfATaskIsTheOnlyOne lets several writers of one
// part, as two workers that both believe it theirs, put results in any order:
// what is read never changes once it is there, and each writer is told of what
// is read.
func TestWhoeverWritesTheFirstResultOfATaskIsTheOnlyOne(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		part := task.Part{Project: "default", Group: task.NewGroup()}
		writers := rapid.IntRange(1, 3).Draw(rt, "writers")
		tasks := rapid.IntRange(1, 12).Draw(rt, "tasks")
		var mu sync.Mutex
		told := map[int][]string{}
		var all sync.WaitGroup
		for w := range writers {
			order := rapid.Permutation(numbers(tasks)).Draw(rt, "order")
			all.Go(func() {
				j := record.NewJournal(s)
				defer j.Close()
				var kept sync.WaitGroup
				kept.Add(tasks)
				page := j.Open(part, 0, func(r record.Result) {
					mu.Lock()
					told[r.N] = append(told[r.N], string(r.Body))
					mu.Unlock()
					kept.Done()
				})
				page.Expect(tasks)
				for _, n := range order {
					page.Put(result(rt, part, n, fmt.Appendf(nil, "%d of %d", n, w)))
				}
				kept.Wait()
			})
		}
		all.Wait()
		for n := range tasks {
			o, err := record.Find(t.Context(), s, part.Project, part.ID(n))
			require.NoError(rt, err)
			require.Len(rt, told[n], writers)
			for _, body := range told[n] {
				require.Equal(rt, string(o.Result.Body), body)
			}
		}
	})
}

func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}
