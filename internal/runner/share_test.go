package runner_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/record"
	"github.com/headrace/headrace/internal/runner"
	"github.com/headrace/headrace/internal/task"
)

// same makes every task ask the same.
func same(coalesce bool, cache time.Duration) func(*task.Item) {
	return func(i *task.Item) { i.Body, i.Coalesce, i.Cache = "same", coalesce, batch.Duration(cache) }
}

// counted is how many of a part's tasks were cached and how many coalesced.
func (b *testBundle) counted(t *testing.T, n int) (cached, coalesced int) {
	t.Helper()
	for i := range n {
		o := b.find(t, i)
		require.Equal(t, task.Completed, o.Status)
		require.Equal(t, `{"n":1}`, string(o.Result.Body))
		if o.Result.Cached {
			cached++
		}
		if o.Result.Coalesced {
			coalesced++
		}
	}
	return cached, coalesced
}

// slow answers after a while, each call with its number.
func (b *testBundle) slow(takes time.Duration) {
	b.provider.answer = func(_ context.Context, _ string, n int) (llm.Response, error) {
		time.Sleep(takes)
		return llm.Response{Status: 200, Body: fmt.Appendf(nil, `{"n":%d}`, n)}, nil
	}
}

func TestIdenticalTasksInFlightShareOneCall(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.slow(50 * time.Millisecond)
	b.do(t, b.runner(t, nil), b.work(20, same(true, 0)))
	require.Equal(t, 1, b.provider.count("same"))
	cached, coalesced := b.counted(t, 20)
	require.Zero(t, cached)
	require.Equal(t, 19, coalesced)

	first := b.part
	b.part.Group = task.NewGroup()
	b.do(t, b.runner(t, nil), b.work(1, same(true, 0)))
	require.Equal(t, 2, b.provider.count("same"), "what has ended is no longer in flight")
	b.part = first
}

func TestIdenticalTasksOfTwoProcessesShareOneCall(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.slow(time.Second)
	one, two := b.runner(t, nil), b.runner(t, nil)
	var all sync.WaitGroup
	all.Go(func() { b.do(t, one, b.work(1, same(true, 0))) })
	require.Eventually(t, func() bool { return b.provider.inFlight.Load() == 1 }, time.Minute, time.Millisecond)
	other := *b
	other.part.Group = task.NewGroup()
	all.Go(func() { other.do(t, two, other.work(3, same(true, 0))) })
	all.Wait()
	require.Equal(t, 1, b.provider.count("same"))
	_, coalesced := other.counted(t, 3)
	require.Equal(t, 3, coalesced)
}

func TestAnAnswerIsReusedWithinItsTimeByThoseWhoAskForIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.slow(0)
	r := b.runner(t, nil)
	b.do(t, r, b.work(1, same(false, time.Hour)))
	require.Eventually(t, func() bool { // the answer is announced when the task has ended
		b.part.Group = task.NewGroup()
		b.do(t, r, b.work(1, same(false, time.Hour)))
		return b.find(t, 0).Result.Cached
	}, time.Minute, time.Millisecond)
	require.Empty(t, b.find(t, 0).Attempts)
	before := b.provider.count("same")

	b.part.Group = task.NewGroup()
	b.do(t, b.runner(t, nil), b.work(1, same(false, time.Hour)))
	require.True(t, b.find(t, 0).Result.Cached, "in another process too")
	require.Equal(t, before, b.provider.count("same"))

	b.part.Group = task.NewGroup()
	b.do(t, r, b.work(1, same(false, 0)))
	require.Equal(t, before+1, b.provider.count("same"), "only on demand")
	b.part.Group = task.NewGroup()
	b.do(t, r, b.work(1, same(false, time.Nanosecond)))
	require.Equal(t, before+2, b.provider.count("same"), "not beyond its time")
}

func TestThoseWhoWaitForACallThatFailsMakeTheirOwn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var calls atomic.Int64
	b.provider.answer = func(context.Context, string, int) (llm.Response, error) {
		time.Sleep(20 * time.Millisecond)
		if calls.Add(1) == 1 {
			return llm.Response{}, &llm.Error{Kind: llm.Permanent, Status: 400}
		}
		return llm.Response{Status: 200, Body: []byte(`{"n":1}`)}, nil
	}
	report := b.do(t, b.runner(t, func(o *runner.Options) { o.Dispatcher = b.dispatcher(1) }), b.work(5, same(true, 0)))
	require.Equal(t, 1, report.Failed)
	require.Equal(t, int64(2), calls.Load())
	kept, _, err := record.Load(t.Context(), b.store, b.part)
	require.NoError(t, err)
	require.Len(t, kept, 5)
}
