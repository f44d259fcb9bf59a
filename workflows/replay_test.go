package workflows_test

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/headrace/headrace/workflows"
)

// TestHistoriesOfEveryReleaseReplay holds changed workflows to what batches
// that run at the time of an upgrade have done already. The recorder is in
// internal/e2e; a history that no longer replays calls for workflow.GetVersion,
// not for a new recording.
func TestHistoriesOfEveryReleaseReplay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/replay/*/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files, "no histories")
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			replayer := worker.NewWorkflowReplayer()
			replayer.RegisterWorkflowWithOptions(workflows.Batch, workflow.RegisterOptions{Name: workflows.NameBatch})
			replayer.RegisterWorkflowWithOptions(workflows.Task, workflow.RegisterOptions{Name: workflows.NameTask})
			replayer.RegisterWorkflowWithOptions(workflows.Queue, workflow.RegisterOptions{Name: workflows.NameQueue})
			replayer.RegisterWorkflowWithOptions(workflows.Webhook, workflow.RegisterOptions{Name: workflows.NameWebhook})
			quiet := log.NewStructuredLogger(slog.New(slog.DiscardHandler))
			require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(quiet, file))
		})
	}
}
