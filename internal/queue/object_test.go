package queue_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/queue"
)

func asJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return string(data)
}

func TestAQueueThatNobodyHasAskedShowsItsSettingsAndNulls(t *testing.T) {
	t.Parallel()
	require.JSONEq(t, `{"object":"queue","name":"q","concurrency":null,"rpm":null,"tpm":null,"paused":false,"weights":null,"fallback":null,
		"live":false,"in_flight":null,"waiting":null,"requests_last_minute":null,"tokens_last_minute":null,"share":null,
		"cooldowns":null,"workers":null}`, asJSON(t, queue.NewObject("q", queue.Settings{})))
	require.JSONEq(t, `{"object":"queue","name":"q","concurrency":1,"rpm":2,"tpm":3,"paused":true,"weights":{"a":2},
		"fallback":{"targets":[{"model":"m"}],"on":["throttled"]},
		"live":false,"in_flight":null,"waiting":null,"requests_last_minute":null,"tokens_last_minute":null,"share":null,
		"cooldowns":null,"workers":null}`, asJSON(t, queue.NewObject("q", full())))
}

func TestAStatusIsShownInUnixSeconds(t *testing.T) {
	t.Parallel()
	s := queue.Status{
		Name: "q", Settings: queue.Settings{RPM: 60},
		InFlight: queue.Counts{Interactive: 1, Batch: 2}, Waiting: queue.Counts{Batch: 3},
		RequestsLastMinute: 40, TokensLastMinute: 500, Share: 0.5,
		Closings: []queue.Closing{{Provider: "p", Message: "m", For: 1500, Age: 500}},
		Workers: []queue.Worker{
			{Worker: "w1", Label: "host 1", Permits: queue.NoLimit, InFlight: queue.Counts{Interactive: 1, Batch: 2}, Expires: 9500},
			{Worker: "w2", Label: "host 2", Permits: 0},
		},
	}
	require.JSONEq(t, `{"object":"queue","name":"q","concurrency":null,"rpm":60,"tpm":null,"paused":false,"weights":null,"fallback":null,
		"live":true,"in_flight":{"interactive":1,"batch":2},"waiting":{"interactive":0,"batch":3},
		"requests_last_minute":40,"tokens_last_minute":500,"share":0.5,
		"cooldowns":[{"provider":"p","message":"m","since":999,"until":1002}],
		"workers":[
			{"id":"w1","name":"host 1","permits":null,"in_flight":{"interactive":1,"batch":2},"waiting":{"interactive":0,"batch":0},"expires_at":1009},
			{"id":"w2","name":"host 2","permits":0,"in_flight":{"interactive":0,"batch":0},"waiting":{"interactive":0,"batch":0},"expires_at":1000}
		]}`, asJSON(t, s.Object(1_000_000)))
	idle := asJSON(t, queue.Status{Name: "q", Share: 1}.Object(0))
	require.Contains(t, idle, `"in_flight":{"interactive":0,"batch":0}`)
	require.Contains(t, idle, `"cooldowns":[],"workers":[]`)
}
