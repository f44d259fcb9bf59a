package webhook_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/webhook"
)

func TestADeliveryIsJSONWithEveryFieldPresent(t *testing.T) {
	t.Parallel()
	d := webhook.NewDelivery("whd_1", webhook.EventOf("evt_1", webhook.TaskFailed, "task_1", time.Unix(7, 0)), "https://a.test/", 8)
	got, err := json.Marshal(d)
	require.NoError(t, err)
	require.JSONEq(t, `{"id":"whd_1","object":"webhook.delivery","status":"in_progress","created_at":8,"finished_at":null,"next_attempt_at":null,
		"url":"https://a.test/","event":{"id":"evt_1","object":"event","type":"task.failed","created_at":7,"data":{"id":"task_1"}},
		"redelivers":null,"attempts":[]}`, string(got))

	status := 503
	d.Attempts = webhook.Log(d.Attempts, webhook.Attempt{
		StartedAt: 9, DurationMS: 10, StatusCode: &status, Error: &webhook.Error{Code: webhook.BadStatus, Message: "m"}, Answer: "sorry",
	})
	got, err = json.Marshal(d.Attempts)
	require.NoError(t, err)
	require.JSONEq(t, `[{"started_at":9,"duration_ms":10,"status_code":503,"error":{"code":"bad_status","message":"m"},"answer":"sorry"}]`, string(got))
	var back []webhook.Attempt
	require.NoError(t, json.Unmarshal(got, &back))
	require.Equal(t, d.Attempts, back)
}

func TestOneEventOfAnObjectHasOneWorkflowAndEachRedeliveryItsOwn(t *testing.T) {
	t.Parallel()
	d := webhook.NewDelivery("whd_1", webhook.NewEvent(webhook.BatchExpired, "batch_1", time.Now()), "https://a.test/", 8)
	require.Equal(t, "webhook_batch_1_batch.expired", d.WorkflowID())
	d.Redelivers = new("whd_0")
	require.Equal(t, "webhook_whd_1", d.WorkflowID())
}

func TestALogStaysSmallWhateverReceiversAnswer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		answer := strings.Repeat(rapid.StringN(1, 4, -1).Draw(t, "answer"), 1000)
		var log []webhook.Attempt
		for range 60 {
			log = webhook.Log(log, webhook.Attempt{Answer: answer})
		}
		require.Len(t, log, 60)
		bytes := 0
		for _, a := range log {
			bytes += len(a.Answer)
			require.True(t, utf8.ValidString(a.Answer))
		}
		require.LessOrEqual(t, bytes, 10<<10)
		last := log[59].Answer
		require.True(t, strings.HasPrefix(answer, last))
		require.GreaterOrEqual(t, len(last), min(len(answer), 1<<10-3))
		require.Empty(t, log[49].Answer)
	})
}

func TestAnAnswerThatIsNoTextIsKeptAsOne(t *testing.T) {
	t.Parallel()
	log := webhook.Log(nil, webhook.Attempt{Answer: "a\xff\x00b"})
	require.Equal(t, "a\uFFFD\x00b", log[0].Answer)
}

func TestAddingToALogLeavesTheOldOneAlone(t *testing.T) {
	t.Parallel()
	log := make([]webhook.Attempt, 1, 8)
	a := webhook.Log(log, webhook.Attempt{DurationMS: 1})
	b := webhook.Log(log, webhook.Attempt{DurationMS: 2})
	require.EqualValues(t, 1, a[1].DurationMS)
	require.EqualValues(t, 2, b[1].DurationMS)
}
