package devserver_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/server/common/dynamicconfig"
)

// TestTheSettingsOfAClusterAreKnownToTemporal reads what deployments give to a
// Temporal server: a key that it does not know, or a value that it cannot use, is
// ignored by it with no more than a line in its log.
func TestTheSettingsOfAClusterAreKnownToTemporal(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../deploy/temporal/dynamicconfig.yaml")
	require.NoError(t, err)
	loaded := dynamicconfig.LoadYamlFile(text)
	require.NoError(t, loaded.Err())
	require.Empty(t, loaded.Warnings)

	// What the embedded server has too, since tests of crashes rest on it.
	for _, want := range []struct {
		setting dynamicconfig.GenericSetting
		value   any
	}{
		{dynamicconfig.EnableCancelActivityWorkerCommand, true},
		{dynamicconfig.WorkerCommandsEnabled, true},
		{dynamicconfig.WorkflowExecutionMaxInFlightUpdates, 1000},
		{dynamicconfig.HistoryLongPollExpirationInterval, "2s"},
		{dynamicconfig.DefaultWorkflowTaskTimeout, "5s"},
	} {
		have := loaded.Map[want.setting.Key()]
		require.Len(t, have, 1, want.setting.Key().String())
		require.Equal(t, want.value, have[0].Value, want.setting.Key().String())
	}
}
