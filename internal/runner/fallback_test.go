package runner_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/dispatch"
	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/runner"
	"github.com/headrace/headrace/internal/task"
)

// answering is a provider that answers every call alike.
func answering(err error) *provider {
	return &provider{calls: map[string]int{}, answer: func(_ context.Context, body string, _ int) (llm.Response, error) {
		if err != nil {
			return llm.Response{}, err
		}
		return llm.Response{Status: 200, Body: []byte(body)}, nil
	}}
}

// falling is one task that falls back to the given targets, on transient errors and
// used-up credit.
func (b *testBundle) falling(targets ...batch.Target) task.Work {
	return b.work(1, func(i *task.Item) {
		i.Body = `{"model":"m"}`
		i.Fallback = batch.Fallback{Targets: targets, On: []string{"transient", "exhausted"}}
	})
}

// to makes a runner that calls providers a, b and so on.
func (b *testBundle) to(t *testing.T, providers ...*provider) *runner.Runner {
	t.Helper()
	var routes []dispatch.Route
	for i, p := range providers {
		routes = append(routes, dispatch.Route{Name: string(rune('a' + i)), Provider: p})
	}
	d := dispatch.New(limit.New(limit.Options{Bound: 8}), routes...)
	d.Assign(dispatch.Assignment{Provider: "a", Queue: "as"})
	return b.runner(t, func(o *runner.Options) { o.Dispatcher = d })
}

func TestATaskThatFallsBackSaysWhoAnsweredAndWhoDidNot(t *testing.T) {
	t.Parallel()
	b := setup(t)
	failing, well := answering(&llm.Error{Kind: llm.Transient, Status: 500, Message: "oh"}), answering(nil)
	r := b.to(t, failing, failing, well)
	require.Equal(t, task.Report{}, b.do(t, r, b.falling(batch.Target{Provider: "b"}, batch.Target{Provider: "c", Model: "large"})))
	o := b.find(t, 0)
	require.Equal(t, task.Completed, o.Status)
	require.Equal(t, `{"model":"large"}`, string(o.Result.Body)) //nolint:testifylint // bytes count
	require.Equal(t, batch.Target{Provider: "c", Model: "large"}, o.Result.Target)
	require.Equal(t, "as", o.Queue)
	require.Len(t, o.Attempts, 3)
	for i, want := range []batch.Target{{Provider: "a", Model: "m"}, {Provider: "b", Model: "m"}, {Provider: "c", Model: "large"}} {
		require.Equal(t, want, o.Attempts[i].Target)
		require.Equal(t, i < 2, o.Attempts[i].Error != nil)
		require.Zero(t, o.Attempts[i].WaitMS)
	}
}

func TestOnlyTheErrorOfTheFirstTargetIsAnAttempt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second := answering(&llm.Error{Kind: llm.Transient, Message: "first"}), answering(&llm.Error{Kind: llm.Permanent, Message: "second"})
	require.Equal(t, task.Report{Failed: 1}, b.do(t, b.to(t, first, second), b.falling(batch.Target{Provider: "b"})))
	o := b.find(t, 0)
	require.Equal(t, "first", o.Error.Message)
	require.Equal(t, batch.DefaultMaxAttempts, first.count(`{"model":"m"}`))
	require.Equal(t, batch.DefaultMaxAttempts, second.count(`{"model":"m"}`))
	require.Len(t, o.Attempts, 2*batch.DefaultMaxAttempts)
	require.Equal(t, "b", o.Attempts[9].Provider)
}

func TestWhereThereIsNoChoiceNobodyIsNamed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, task.Report{}, b.do(t, b.to(t, answering(nil)), b.falling(batch.Target{Model: "large"})))
	o := b.find(t, 0)
	require.Zero(t, o.Result.Target)
	require.Zero(t, o.Attempts[0].Target)

	b = setup(t)
	require.Equal(t, task.Report{}, b.do(t, b.to(t, answering(nil), answering(nil)), b.falling(batch.Target{Model: "large"})))
	o = b.find(t, 0)
	require.Equal(t, batch.Target{Provider: "a", Model: "m"}, o.Result.Target, "of two")
	require.Equal(t, batch.Target{Provider: "a", Model: "m"}, o.Attempts[0].Target)
}

// TestATaskThatNobodyTakesIsHandedBack is about one whose fallback has failed before
// it begins to wait for the first provider: that is not its end.
func TestATaskThatNobodyTakesIsHandedBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := answering(&llm.Error{Kind: llm.Throttled, RetryAfter: time.Hour, Message: "first"})
	second := answering(&llm.Error{Kind: llm.Permanent, Message: "second"})
	w := b.falling(batch.Target{Provider: "b"})
	w.Items[0].Fallback.On = []string{"throttled"}
	report := b.do(t, b.to(t, first, second), w)
	require.Len(t, report.Again, 1)
	require.Equal(t, batch.RateLimited, report.Again[0].WaitingOn.Reason)
	require.Zero(t, report.Again[0].Tries)
	require.NotEmpty(t, report.Again[0].Attempts)
}

func TestATaskIsCancelledWhileItFallsBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := answering(&llm.Error{Kind: llm.Transient})
	begun := make(chan struct{})
	second := &provider{calls: map[string]int{}, answer: func(ctx context.Context, _ string, _ int) (llm.Response, error) {
		close(begun)
		<-ctx.Done()
		return llm.Response{}, ctx.Err()
	}}
	r := b.to(t, first, second)
	run, err := r.Begin(t.Context(), b.falling(batch.Target{Provider: "b"}))
	require.NoError(t, err)
	defer run.Leave()
	<-begun
	run.Cancel([]int{0})
	<-run.Done()
	o := b.find(t, 0)
	require.Equal(t, task.Cancelled, o.Status)
	require.Len(t, o.Attempts, 2)
	require.Equal(t, "cut_off", o.Attempts[1].Error.Code)
}

func TestAStopWhileNobodyTakesTheCallLeavesTheTaskToOthers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var r *runner.Runner
	second := &provider{calls: map[string]int{}, answer: func(context.Context, string, int) (llm.Response, error) {
		r.Stop()
		return llm.Response{}, &llm.Error{Kind: llm.Permanent}
	}}
	r = b.to(t, answering(&llm.Error{Kind: llm.Exhausted}), second)
	require.Equal(t, task.Report{Unfinished: true}, b.do(t, r, b.falling(batch.Target{Provider: "b"})))
}
