package queue_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/queue"
)

// sent is a change as it comes out of JSON.
func sent(t *testing.T, c queue.Change) queue.Change {
	t.Helper()
	data, err := json.Marshal(c)
	require.NoError(t, err)
	var got queue.Change
	require.NoError(t, json.Unmarshal(data, &got))
	return got
}

func full() queue.Settings {
	return queue.Settings{
		Concurrency: 1, RPM: 2, TPM: 3, Paused: true, Weights: map[string]int64{"a": 2},
		Fallback: batch.Fallback{Targets: []batch.Target{{Model: "m"}}, On: []string{"throttled"}},
	}
}

func TestReplacedSettingsAreExactlyThoseGiven(t *testing.T) {
	t.Parallel()
	got := full().Apply(sent(t, queue.Replace(queue.Settings{RPM: 7})))
	require.Empty(t, got.Weights)
	got.Weights = nil
	require.Equal(t, queue.Settings{RPM: 7}, got)
	require.Equal(t, full(), queue.Settings{RPM: 7}.Apply(sent(t, queue.Replace(full()))))
}

func TestAChangeLeavesWhatItDoesNotName(t *testing.T) {
	t.Parallel()
	require.Equal(t, full(), full().Apply(sent(t, queue.Change{})))
	want := full()
	want.RPM, want.Paused = 0, false
	require.Equal(t, want, full().Apply(sent(t, queue.Change{RPM: new(int64(0)), Paused: new(false)})))
}
