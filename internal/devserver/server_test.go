package devserver_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/headrace/headrace/internal/devserver"
)

func TestACallRightAfterStartSucceeds(t *testing.T) {
	t.Parallel()
	s := startServer(t, devserver.Options{})
	c := dial(t, s)
	execute(t, c, "first", nap, time.Hour)
	require.Equal(t, devserver.DefaultRetention, retention(t, c, devserver.DefaultNamespace))
	require.Empty(t, s.UIURL())
}

func TestWorkSurvivesARestart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made by start, 100% #1?")
	s := startServer(t, devserver.Options{Dir: dir})
	c := dial(t, s)
	execute(t, c, "timer", nap, time.Millisecond)
	execute(t, c, "activity", echo, "hello")
	c.Close()
	s.Stop()

	s = startServer(t, devserver.Options{Dir: dir})
	c = dial(t, s)
	d, err := c.DescribeWorkflowExecution(t.Context(), "activity", "")
	require.NoError(t, err)
	require.Equal(t, "echo", d.GetWorkflowExecutionInfo().GetType().GetName())
	startWorker(t, c, worker.Options{})
	var got string
	require.NoError(t, c.GetWorkflow(t.Context(), "activity", "").Get(t.Context(), &got))
	require.Equal(t, "hello", got)
	require.NoError(t, c.GetWorkflow(t.Context(), "timer", "").Get(t.Context(), nil))
}

func TestAStoppedServerLeavesItsWorkInOneFile(t *testing.T) {
	t.Parallel()
	dir, elsewhere := t.TempDir(), t.TempDir()
	s := startServer(t, devserver.Options{Dir: dir})
	c := dial(t, s)
	execute(t, c, "copied", nap, time.Hour)
	c.Close()
	s.Stop()
	content, err := os.ReadFile(filepath.Join(dir, "temporal.db"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(elsewhere, "temporal.db"), content, 0o600))

	c = dial(t, startServer(t, devserver.Options{Dir: elsewhere}))
	_, err = c.DescribeWorkflowExecution(t.Context(), "copied", "")
	require.NoError(t, err)
}

func TestAFolderThatWasEmptiedStartsAnew(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s := startServer(t, devserver.Options{Dir: dir})
	c := dial(t, s)
	execute(t, c, "gone", nap, time.Hour)
	c.Close()
	s.Stop()
	require.NoError(t, os.RemoveAll(dir))

	c = dial(t, startServer(t, devserver.Options{Dir: dir}))
	_, err := c.DescribeWorkflowExecution(t.Context(), "gone", "")
	require.ErrorContains(t, err, "workflow not found")
}

func TestOptionsNameTheNamespaceAndItsRetention(t *testing.T) {
	t.Parallel()
	o := devserver.Options{Dir: t.TempDir(), Namespace: "team", Retention: 48 * time.Hour}
	s := startServer(t, o)
	c := dialNamespace(t, s, o.Namespace)
	require.Equal(t, 48*time.Hour, retention(t, c, o.Namespace))
	execute(t, c, "team's", nap, time.Hour)
	c.Close()
	s.Stop()

	o.Retention = time.Hour
	c = dialNamespace(t, startServer(t, o), o.Namespace)
	require.Equal(t, time.Hour, retention(t, c, o.Namespace))
	_, err := c.DescribeWorkflowExecution(t.Context(), "team's", "")
	require.NoError(t, err)
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	rates := func(method string, fault devserver.Fault, rate float64) devserver.Faults {
		return devserver.Faults{Rates: map[string]map[devserver.Fault]float64{method: {fault: rate}}}
	}
	for name, tt := range map[string]struct {
		options devserver.Options
		want    string
	}{
		"no folder":          {devserver.Options{}, "no folder given"},
		"short retention":    {devserver.Options{Dir: "x", Retention: time.Minute}, "retention 1m0s is below"},
		"no port":            {devserver.Options{Dir: "x", FrontendPort: 70000}, "70000 is not a port"},
		"no port of the ui":  {devserver.Options{Dir: "x", UIPort: -1}, "-1 is not a port"},
		"unknown method":     {devserver.Options{Dir: "x", Faults: rates("Nothing", devserver.FaultTimeout, 0.1)}, `no store has a method "Nothing"`},
		"unknown fault":      {devserver.Options{Dir: "x", Faults: rates("CreateTasks", "Bang", 0.1)}, `unknown fault "Bang"`},
		"negative rate":      {devserver.Options{Dir: "x", Faults: rates("CreateTasks", devserver.FaultTimeout, -1)}, "is negative"},
		"more than all fail": {devserver.Options{Dir: "x", Faults: rates("CreateTasks", devserver.FaultTimeout, 1.1)}, "add up to 1.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := devserver.Start(t.Context(), tt.options)
			require.ErrorContains(t, err, tt.want)
			require.NoDirExists(t, "x")
		})
	}
}

func TestACancelledStartLeavesTheFolderFree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := devserver.Start(ctx, devserver.Options{Dir: dir, UI: true})
	require.ErrorIs(t, err, context.Canceled)
	startServer(t, devserver.Options{Dir: dir})
}

func TestSeveralServersStartAtOnce(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	for range 6 {
		dir := t.TempDir()
		wg.Go(func() {
			s, err := devserver.Start(t.Context(), devserver.Options{Dir: dir, UI: true})
			if err != nil {
				t.Error(err)
				return
			}
			s.Stop()
		})
	}
	wg.Wait()
}

func TestStopMayBeCalledTwiceAndWhileAWorkerPolls(t *testing.T) {
	t.Parallel()
	s := startServer(t, devserver.Options{UI: true})
	c := dial(t, s)
	w := startWorker(t, c, worker.Options{})
	requireEcho(t, c, "before")
	s.Stop()
	s.Stop()
	w.Stop()
}

func TestNothingIsLoggedAboveDebugByAQuietLife(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	dir := t.TempDir()
	for range 3 {
		s := startServer(t, devserver.Options{Dir: dir, UI: true, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		c := dial(t, s)
		w := startWorker(t, c, worker.Options{})
		requireEcho(t, c, "quiet")
		w.Stop()
		c.Close()
		s.Stop()
	}
	require.Empty(t, log.String())
}

func TestTheServersMessagesAreThereAtDebug(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := startServer(t, devserver.Options{
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	s.Stop()
	require.Contains(t, log.String(), "service=frontend")
}

func retention(tb testing.TB, c client.Client, namespace string) time.Duration {
	tb.Helper()
	r, err := c.WorkflowService().DescribeNamespace(tb.Context(), &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	require.NoError(tb, err)
	return r.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration()
}
