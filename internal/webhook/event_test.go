package webhook_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/webhook"
)

func TestAnEventHasTheBytesOfOpenAIs(t *testing.T) {
	t.Parallel()
	e := webhook.EventOf("evt_1", webhook.BatchCompleted, "batch_1", time.Unix(1719168000, 5))
	for range 2 {
		body, err := e.Body()
		require.NoError(t, err)
		require.Equal(t, `{"id":"evt_1","object":"event","type":"batch.completed","created_at":1719168000,"data":{"id":"batch_1"}}`, string(body)) //nolint:testifylint // the order of keys counts too
	}
}

func TestANewEventHasAnIDOfItsOwn(t *testing.T) {
	t.Parallel()
	a, b := webhook.NewEvent(webhook.TaskFailed, "task_1", time.Now()), webhook.NewEvent(webhook.TaskFailed, "task_1", time.Now())
	require.NotEqual(t, a.ID, b.ID)
	require.True(t, openai.ValidID(webhook.PrefixEvent, a.ID))
}

func TestEveryEndOfABatchHasItsEvent(t *testing.T) {
	t.Parallel()
	for _, s := range []openai.Status{openai.Completed, openai.Failed, openai.Expired, openai.Cancelled} {
		require.True(t, s.Final())
		require.True(t, webhook.OfBatch(s).Valid(), s)
	}
	require.False(t, webhook.OfBatch(openai.InProgress).Valid())
	require.Len(t, webhook.Types(), 11)
}
