package e2e_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	temporal "go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/internal/devserver"
	"github.com/headrace/headrace/internal/dispatch"
	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/llm/provider"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/workflows"
)

// errLost stands for the death of a worker between the end of an activity and
// the moment when Temporal hears of it.
var errLost = errors.New("nobody has heard of the end")

// unheard does an activity and keeps quiet about the end of its first attempt.
func unheard[In, Out any](do func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	return func(ctx context.Context, in In) (Out, error) {
		out, err := do(ctx, in)
		if err == nil && activity.GetInfo(ctx).Attempt == 1 {
			err = errLost
		}
		return out, err
	}
}

// nothing makes an activity without a result one with a result.
func nothing[In any](do func(context.Context, In) error) func(context.Context, In) (struct{}, error) {
	return func(ctx context.Context, in In) (struct{}, error) { return struct{}{}, do(ctx, in) }
}

// forgetfulWorker starts a worker in this process each of whose activities is
// done twice.
func (c *cluster) forgetfulWorker(upstream string) {
	c.t.Helper()
	s, err := store.Open(c.t.Context(), c.store)
	require.NoError(c.t, err)
	c.t.Cleanup(func() { require.NoError(c.t, s.Close()) })
	p, err := provider.New(provider.Config{BaseURL: upstream})
	require.NoError(c.t, err)
	c.t.Cleanup(p.Close)
	sdk, err := temporal.DialContext(c.t.Context(), temporal.Options{
		HostPort: c.temporal, Namespace: c.namespace, Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	require.NoError(c.t, err)
	c.t.Cleanup(sdk.Close)
	a := &activities.Activities{Store: s, Dispatcher: dispatch.New(limit.New(limit.Options{}), dispatch.Route{Name: "provider", Provider: p})}
	w := worker.New(sdk, activities.TaskQueue, worker.Options{})
	w.RegisterWorkflowWithOptions(workflows.Batch, workflow.RegisterOptions{Name: workflows.NameBatch})
	for name, do := range map[string]any{
		activities.NamePlan: unheard(a.Plan), activities.NameWork: unheard(nothing(a.Work)), activities.NameFinish: unheard(nothing(a.Finish)),
		activities.NameSaveCommits: unheard(nothing(a.SaveCommits)), activities.NameTidy: unheard(nothing(a.Tidy)),
	} {
		w.RegisterActivityWithOptions(do, activity.RegisterOptions{Name: name})
	}
	require.NoError(c.t, w.Start())
	c.t.Cleanup(w.Stop)
}

func TestAnActivityWhoseEndIsNotHeardOfIsDoneTwiceWithoutHarm(t *testing.T) {
	t.Parallel()
	const n = 3000
	up := sim(t, simulator.Options{Latency: latency(t, "uniform:20ms,80ms")})
	c := newCluster(t, devServer(t, devserver.Options{LongHistory: longHistory}), devserver.DefaultNamespace)
	c.forgetfulWorker(up.URL())
	o := submit(t, c.url, requests(n), concurrently(4*laneHands))
	o = awaitEnd(t, c.url, o.ID, openai.Completed)
	answers, _ := requireEach(t, c.url, o, n)
	require.Len(t, answers, n)
	require.EqualValues(t, n, up.Stats().Calls)
	require.Greater(t, len(c.histories(o.ID)), 1)
}
