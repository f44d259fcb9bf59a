package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/webhook"
)

func TestDeliveriesOfAProjectAreKeptAndListedNewestFirst(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *testBundle) {
		ctx := t.Context()
		var ids []string
		for range 3 {
			d := webhook.NewDelivery(openai.NewID(webhook.PrefixDelivery), webhook.NewEvent(webhook.TaskFailed, "task_1", time.Now()), "https://a.test/", 1)
			require.NoError(t, s.SaveDelivery(ctx, "a", d))
			d.Status = webhook.Delivered
			require.NoError(t, s.SaveDelivery(ctx, "a", d), "what has changed replaces what was there")
			got, err := s.Delivery(ctx, "a", d.ID)
			require.NoError(t, err)
			require.Equal(t, d, got)
			_, err = s.Delivery(ctx, "b", d.ID)
			require.ErrorIs(t, err, store.ErrNotFound, "another project's")
			ids = append([]string{d.ID}, ids...)
		}
		var listed []string
		for id, err := range s.DeliveryIDs(ctx, "a") {
			require.NoError(t, err)
			listed = append(listed, id)
		}
		require.Equal(t, ids, listed)
		for _, err := range s.DeliveryIDs(ctx, "b") {
			require.NoError(t, err)
			require.Fail(t, "nothing is there")
		}
		for _, id := range []string{"", "whd_", "../../x", openai.NewID(openai.PrefixFile)} {
			_, err := s.Delivery(ctx, "a", id)
			require.ErrorIs(t, err, store.ErrNotFound)
		}
	})
}
