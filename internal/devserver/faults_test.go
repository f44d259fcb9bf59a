package devserver_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/headrace/headrace/internal/devserver"
)

func TestWorkflowsCompleteThoughTheDatabaseFails(t *testing.T) {
	t.Parallel()
	rates := map[devserver.Fault]float64{
		devserver.FaultTimeout: 0.02, devserver.FaultExecuteAndTimeout: 0.01, devserver.FaultUnavailable: 0.02,
	}
	var log syncBuffer
	s := startServer(t, devserver.Options{
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Faults: devserver.Faults{Seed: 1, Rates: map[string]map[devserver.Fault]float64{
			"UpdateWorkflowExecution": rates,
			"GetWorkflowExecution":    rates,
			"CreateTasks":             rates,
		}},
	})
	c := dial(t, s)
	startWorker(t, c, worker.Options{})
	var runs []client.WorkflowRun
	for i := range 20 {
		runs = append(runs, execute(t, c, fmt.Sprintf("hard-%d", i), echo, "hello"))
	}
	for _, run := range runs {
		require.NoError(t, run.Get(t.Context(), nil))
	}
	require.Contains(t, log.String(), "fault injection error")
	require.Contains(t, log.String(), "level=WARN")
	require.NotContains(t, log.String(), "level=ERROR")
}

// syncBuffer is a buffer for several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
