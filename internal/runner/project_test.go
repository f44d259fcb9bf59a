package runner_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/task"
)

func TestATaskUnderWayIsKnownToItsProjectAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	let := make(chan struct{})
	b.provider.answer = func(ctx context.Context, _ string, _ int) (llm.Response, error) {
		select {
		case <-let:
			return llm.Response{Status: 200, Body: []byte("{}")}, nil
		case <-ctx.Done():
			return llm.Response{}, ctx.Err()
		}
	}
	r, id := b.runner(t, nil), b.part.ID(0)
	run, err := r.Begin(t.Context(), b.work(1, nil))
	require.NoError(t, err)
	defer run.Leave()
	require.Eventually(t, func() bool { return b.provider.inFlight.Load() == 1 }, time.Minute, time.Millisecond)
	for project, knows := range map[string]bool{b.part.Project: true, "rival": false, "": false} {
		_, ok := r.Get(project, id)
		require.Equal(t, knows, ok, project)
		_, ok = r.Spec(project, id)
		require.Equal(t, knows, ok, project)
	}
	r.Cancel("rival", id)
	close(let)
	<-run.Done()
	require.Equal(t, task.Completed, b.find(t, 0).Status)
}

func TestIdenticalTasksOfTwoProjectsShareNoCall(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.slow(50 * time.Millisecond)
	r, rival := b.runner(t, nil), *b
	rival.part = task.Part{Project: "rival", Group: task.NewGroup()}
	var all sync.WaitGroup
	for _, one := range []*testBundle{b, &rival} {
		all.Go(func() { one.do(t, r, one.work(5, same(true, time.Hour))) })
	}
	all.Wait()
	require.Equal(t, 2, b.provider.count("same"))
}
