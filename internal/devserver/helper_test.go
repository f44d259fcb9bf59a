package devserver_test

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"go.uber.org/goleak"

	"github.com/headrace/headrace/internal/devserver"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		child(dir)
		return
	}
	goleak.VerifyTestMain(
		m,
		// What Temporal leaves behind, see Server.Stop: connections
		// between its services, and the database handle.
		goleak.IgnoreAnyFunction("google.golang.org/grpc/internal/grpcsync.(*CallbackSerializer).run"),
		goleak.IgnoreAnyFunction("google.golang.org/grpc.(*addrConn).resetTransportAndUnlock"),
		goleak.IgnoreAnyFunction("database/sql.(*DB).connectionOpener"),
	)
}

const queue = "devserver-test"

// startServer starts a server that stops with the test, on a new folder unless o
// names one.
func startServer(tb testing.TB, o devserver.Options) *devserver.Server {
	tb.Helper()
	if o.Dir == "" {
		o.Dir = tb.TempDir()
	}
	s, err := devserver.Start(tb.Context(), o)
	require.NoError(tb, err)
	tb.Cleanup(s.Stop)
	return s
}

func dial(tb testing.TB, s *devserver.Server) client.Client {
	tb.Helper()
	return dialNamespace(tb, s, devserver.DefaultNamespace)
}

func dialNamespace(tb testing.TB, s *devserver.Server, namespace string) client.Client {
	tb.Helper()
	c, err := client.DialContext(tb.Context(), clientOptions(s.Address(), namespace))
	require.NoError(tb, err)
	tb.Cleanup(c.Close)
	return c
}

func clientOptions(address, namespace string) client.Options {
	return client.Options{
		HostPort: address, Namespace: namespace,
		Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
		// What never leaves the machine need not be compressed.
		ConnectionOptions: client.ConnectionOptions{GrpcCompression: &client.GrpcCompressionNone{}},
	}
}

func startWorker(tb testing.TB, c client.Client, o worker.Options) worker.Worker {
	tb.Helper()
	w := worker.New(c, queue, o)
	register(w)
	require.NoError(tb, w.Start())
	tb.Cleanup(w.Stop)
	return w
}

func register(w worker.Registry) {
	w.RegisterWorkflow(nothing)
	w.RegisterWorkflow(echo)
	w.RegisterWorkflow(nap)
	w.RegisterWorkflow(ledger)
	w.RegisterActivity(say)
}

func execute(tb testing.TB, c client.Client, id string, wf any, args ...any) client.WorkflowRun {
	tb.Helper()
	run, err := c.ExecuteWorkflow(tb.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: queue}, wf, args...)
	require.NoError(tb, err)
	return run
}

func requireEcho(tb testing.TB, c client.Client, id string) {
	tb.Helper()
	var got string
	require.NoError(tb, execute(tb, c, id, echo, "hello").Get(tb.Context(), &got))
	require.Equal(tb, "hello", got)
}

// nothing is a workflow that ends at once.
func nothing(workflow.Context) error { return nil }

// echo is a workflow of one activity.
func echo(ctx workflow.Context, s string) (string, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 3 * time.Second})
	var r string
	err := workflow.ExecuteActivity(ctx, say, s).Get(ctx, &r)
	return r, err
}

func say(_ context.Context, s string) (string, error) { return s, nil }

// nap is a workflow of one timer.
func nap(ctx workflow.Context, d time.Duration) error { return workflow.Sleep(ctx, d) }

// ledgerRun is the number of updates after which ledger continues as new.
const ledgerRun = 500

// ledger counts updates for as long as nobody ends it.
func ledger(ctx workflow.Context, n int) error {
	end := n + ledgerRun
	err := workflow.SetUpdateHandler(ctx, "lease", func(workflow.Context) (int, error) {
		n++
		return n, nil
	})
	if err != nil {
		return err
	}
	if err := workflow.Await(ctx, func() bool { return n >= end && workflow.AllHandlersFinished(ctx) }); err != nil {
		return err
	}
	return workflow.NewContinueAsNewError(ctx, ledger, n)
}

// lease updates the ledger of the id and returns its count.
func lease(ctx context.Context, c client.Client, id string) (int, error) {
	u, err := c.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: id, UpdateName: "lease", WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err != nil {
		return 0, err
	}
	var n int
	err = u.Get(ctx, &n)
	return n, err
}
