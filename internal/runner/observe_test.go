package runner_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/runner"
	"github.com/headrace/headrace/internal/task"
)

type mark struct{}

func TestEndsAndRetriesAreToldAndCallsBelongToTheirTrace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var mu sync.Mutex
	var ended []task.Status
	var retried []llm.Kind
	traces := map[string]any{}
	b.provider.answer = func(ctx context.Context, body string, n int) (llm.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		traces[body] = ctx.Value(mark{})
		switch {
		case body == "0" && n == 1:
			return llm.Response{}, &llm.Error{Kind: llm.Transient, Status: 500}
		case body == "1":
			return llm.Response{}, &llm.Error{Kind: llm.Permanent, Status: 400}
		}
		return llm.Response{Status: 200}, nil
	}
	r := b.runner(t, func(o *runner.Options) {
		o.Ended = func(o *task.Object) {
			mu.Lock()
			defer mu.Unlock()
			ended = append(ended, o.Status)
		}
		o.Retried = func(k llm.Kind) {
			mu.Lock()
			defer mu.Unlock()
			retried = append(retried, k)
		}
		o.Resume = func(ctx context.Context, trace string) context.Context { return context.WithValue(ctx, mark{}, trace) }
	})
	w := b.work(2, func(i *task.Item) {
		if i.N == 0 {
			i.Trace = "00-t-s-01"
		}
	})
	b.do(t, r, w)
	mu.Lock()
	require.ElementsMatch(t, []task.Status{task.Completed, task.Failed}, ended)
	require.Equal(t, []llm.Kind{llm.Transient}, retried)
	require.Equal(t, map[string]any{"0": "00-t-s-01", "1": nil}, traces)
	ended = nil
	mu.Unlock()

	b.do(t, b.runner(t, func(o *runner.Options) {
		o.Ended = func(*task.Object) { require.Fail(t, "told twice") }
	}), w)
}
