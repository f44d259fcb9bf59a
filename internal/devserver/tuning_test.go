package devserver_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"golang.org/x/sync/errgroup"

	"github.com/headrace/headrace/internal/devserver"
)

// hold is a workflow of one activity that runs until it is cancelled.
func hold(ctx workflow.Context) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: time.Minute, HeartbeatTimeout: 10 * time.Second, WaitForCancellation: true,
	})
	return workflow.ExecuteActivity(ctx, "held").Get(ctx, nil)
}

func TestCancellationReachesAnActivityAtOnce(t *testing.T) {
	t.Parallel()
	c := dial(t, startServer(t, devserver.Options{}))
	reached, started := make(chan time.Time, 1), make(chan struct{})
	w := worker.New(c, queue, worker.Options{})
	w.RegisterWorkflow(hold)
	w.RegisterActivityWithOptions(func(ctx context.Context) error {
		activity.RecordHeartbeat(ctx)
		close(started)
		<-ctx.Done()
		reached <- time.Now()
		return ctx.Err()
	}, activity.RegisterOptions{Name: "held"})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	run := execute(t, c, "cancelled", hold)
	<-started
	start := time.Now()
	require.NoError(t, c.CancelWorkflow(t.Context(), "cancelled", ""))
	// The next heartbeat that would bring the news is due after eight seconds.
	require.Less(t, (<-reached).Sub(start), 5*time.Second)
	require.Error(t, run.Get(t.Context(), nil))
}

func TestAShortTimerTakesNoSecond(t *testing.T) {
	t.Parallel()
	c := dial(t, startServer(t, devserver.Options{}))
	startWorker(t, c, worker.Options{})
	require.NoError(t, execute(t, c, "warm", nap, time.Millisecond).Get(t.Context(), nil))
	var took []time.Duration
	for i := range 5 {
		start := time.Now()
		require.NoError(t, execute(t, c, fmt.Sprint(i), nap, 10*time.Millisecond).Get(t.Context(), nil))
		took = append(took, time.Since(start))
	}
	require.Less(t, slices.Min(took), 500*time.Millisecond)
}

func TestMoreCallersWaitThanTemporalAllowsByDefault(t *testing.T) {
	t.Parallel()
	const waiting = 1500 // the default is 1200
	c := dial(t, startServer(t, devserver.Options{}))
	run := execute(t, c, "awaited", echo, "hello")
	var g errgroup.Group
	for range waiting {
		g.Go(func() error { return run.Get(t.Context(), nil) })
	}
	startWorker(t, c, worker.Options{})
	require.NoError(t, g.Wait())
}

func TestListingsAreNotRationed(t *testing.T) {
	t.Parallel()
	c := dial(t, startServer(t, devserver.Options{}))
	for range 50 { // the default is 10 a second
		_, err := c.WorkflowService().ListWorkflowExecutions(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
			Namespace: devserver.DefaultNamespace, Query: `WorkflowType = "echo"`,
		})
		require.NoError(t, err)
	}
}

func TestUpdatesGoOnOverContinueAsNew(t *testing.T) {
	t.Parallel()
	c := dial(t, startServer(t, devserver.Options{}))
	startWorker(t, c, worker.Options{})
	execute(t, c, "ledger", ledger, 0)
	for i := range ledgerRun + 10 {
		n, err := lease(t.Context(), c, "ledger")
		require.NoError(t, err)
		require.Equal(t, i+1, n)
	}
}

// wander is a workflow that naps until it should continue as new, and returns
// how often it has.
func wander(ctx workflow.Context) (naps int, err error) {
	for !workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
		if err := workflow.Sleep(ctx, time.Millisecond); err != nil {
			return naps, err
		}
		naps++
	}
	return naps, nil
}

func TestWhatHistoryIsLongCanBeSet(t *testing.T) {
	t.Parallel()
	c := dial(t, startServer(t, devserver.Options{LongHistory: 30}))
	w := worker.New(c, queue, worker.Options{})
	w.RegisterWorkflow(wander)
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	var naps int
	require.NoError(t, execute(t, c, "wander", wander).Get(t.Context(), &naps))
	require.Positive(t, naps)
	require.Less(t, naps, 30)
}
