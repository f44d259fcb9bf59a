package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headrace/headrace/api"
	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/egress"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/webhook"
	"github.com/headrace/headrace/workflows"
)

// configured replaces the bundle's API with one that has settings for webhooks.
func (b *testBundle) configured(t *testing.T, url string, private ...string) {
	t.Helper()
	guard, err := egress.Rules{Private: private}.Public()
	require.NoError(t, err)
	b.api = api.New(api.Options{
		Temporal: b.temporal, Store: b.store, Logger: slog.New(slog.DiscardHandler), Webhooks: api.Webhooks{Guard: guard, URL: url},
	})
}

func TestABatchKeepsTheURLThatWantsToHearOfItsEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Empty(t, b.created(t, "").Headrace.Webhook)
	o := b.created(t, `,"headrace":{"webhook":"https://example.com/hook?x=1"}`)
	require.Equal(t, "https://example.com/hook?x=1", o.Headrace.Webhook)
	require.Equal(t, o, b.temporal.started[o.ID].Object)

	b.configured(t, "https://default.example/", "127.0.0.1")
	require.Equal(t, "https://default.example/", b.created(t, "").Headrace.Webhook)
	require.Equal(t, "https://default.example/", b.created(t, `,"headrace":{"webhook":null}`).Headrace.Webhook)
	require.Equal(t, "http://127.0.0.1:9000/", b.created(t, `,"headrace":{"webhook":"http://127.0.0.1:9000/"}`).Headrace.Webhook)
}

func TestAURLThatMayNotBeCalledIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for url, why := range map[string]string{
		`"http://example.com/"`:      "https://",
		`"https://127.0.0.1/"`:       "loopback",
		`"https://169.254.169.254/"`: "metadata",
		`"https://u:p@example.com/"`: "password",
		`"ftp://example.com/"`:       "https://",
		`"example.com"`:              "https://",
		`1`:                          "a string",
		`["https://example.com/"]`:   "a string",
		`"https://` + strings.Repeat("a.", 1100) + `"`: "longer",
	} {
		w := b.create(t, `,"headrace":{"webhook":`+url+`}`)
		e := envelope(t, w)
		require.Equal(t, http.StatusBadRequest, e.Status, url)
		require.Equal(t, "headrace.webhook", *e.Param)
		require.Contains(t, e.Message, why)
	}
	require.Empty(t, b.temporal.started)
}

// newDelivery is one that nobody knows of yet.
func newDelivery(subject string) webhook.Delivery {
	event := webhook.NewEvent(webhook.BatchCompleted, subject, time.Now())
	return webhook.NewDelivery(openai.NewID(webhook.PrefixDelivery), event, "https://a.test/", 1)
}

// delivery is one that the store has.
func (b *testBundle) delivery(t *testing.T, subject string, change func(*webhook.Delivery)) webhook.Delivery {
	t.Helper()
	d := newDelivery(subject)
	if change != nil {
		change(&d)
	}
	require.NoError(t, b.store.SaveDelivery(context.Background(), store.DefaultProject, d))
	return d
}

func delivered(d *webhook.Delivery) { d.Status, d.FinishedAt = webhook.Delivered, new(int64(2)) }

const deliveries = "/v1/webhooks/deliveries"

func (b *testBundle) look(t *testing.T, id string) webhook.Delivery {
	t.Helper()
	w := b.send(t, http.MethodGet, deliveries+"/"+id, "")
	require.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
	return decode[webhook.Delivery](t, w.Body)
}

func TestDeliveriesAreListedNewestFirstAndBySubject(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one := b.delivery(t, "batch_1", delivered)
	two := b.delivery(t, "batch_2", delivered)
	three := b.delivery(t, "batch_1", delivered)
	list := func(query string) openai.List[webhook.Delivery] {
		w := b.send(t, http.MethodGet, deliveries+query, "")
		require.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
		return decode[openai.List[webhook.Delivery]](t, w.Body)
	}
	require.Equal(t, []webhook.Delivery{three, two, one}, list("").Data)
	require.Equal(t, []webhook.Delivery{three, one}, list("?subject=batch_1").Data)
	require.Empty(t, list("?subject=batch_3").Data)
	page := list("?subject=batch_1&limit=1")
	require.Equal(t, []webhook.Delivery{three}, page.Data)
	require.True(t, page.HasMore)
	page = list("?subject=batch_1&limit=1&after=" + three.ID)
	require.Equal(t, []webhook.Delivery{one}, page.Data)
	require.False(t, page.HasMore)
	require.Equal(t, http.StatusBadRequest, b.send(t, http.MethodGet, deliveries+"?after=batch_1", "").Code)
	require.Equal(t, two, b.look(t, two.ID))
}

func TestAnUnknownDeliveryIsNotFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, id := range []string{openai.NewID(webhook.PrefixDelivery), "whd_1", "..%2f..%2fsecret", "batch_1"} {
		for method, path := range map[string]string{http.MethodGet: "/" + id, http.MethodPost: "/" + id + "/redeliver"} {
			require.Equal(t, http.StatusNotFound, envelope(t, b.send(t, method, deliveries+path, "")).Status, id)
		}
	}
}

// TestADeliveryUnderWayShowsItsLog reads memo and heartbeat: no worker is needed.
func TestADeliveryUnderWayShowsItsLog(t *testing.T) {
	t.Parallel()
	b := setup(t)
	d := b.delivery(t, "batch_1", nil)
	b.temporal.memos[d.WorkflowID()] = map[string]any{workflows.MemoDelivery: d}
	require.Equal(t, d, b.look(t, d.ID))

	status := http.StatusBadGateway
	log := workflows.DeliveryLog{
		{StartedAt: 5, Error: &webhook.Error{Code: webhook.Timeout, Message: "m"}},
		{StartedAt: 9, StatusCode: &status, Error: &webhook.Error{Code: webhook.BadStatus, Message: "n"}, Answer: "sorry"},
	}
	b.temporal.pending = []*workflowpb.PendingActivityInfo{
		{ActivityType: &common.ActivityType{Name: "SaveDelivery"}},
		{
			ActivityType: &common.ActivityType{Name: workflows.NameDeliver}, State: enums.PENDING_ACTIVITY_STATE_SCHEDULED,
			HeartbeatDetails: &common.Payloads{Payloads: []*common.Payload{payload(log)}}, NextAttemptScheduleTime: timestamppb.New(time.Unix(77, 5)),
		},
	}
	got := b.look(t, d.ID)
	require.Equal(t, log, got.Attempts)
	require.EqualValues(t, 77, *got.NextAttemptAt)
	require.Equal(t, webhook.InProgress, got.Status)

	b.temporal.pending = nil
	end := d
	delivered(&end)
	b.temporal.memos[d.WorkflowID()] = map[string]any{workflows.MemoDelivery: end}
	require.Equal(t, end, b.look(t, d.ID), "its end is known before it is in the store")
}

func TestADeliveryWhoseWorkflowIsGoneHasFailed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	lost := b.delivery(t, "batch_1", nil)
	ended := b.delivery(t, "batch_2", nil)
	fresh := b.delivery(t, "batch_3", func(d *webhook.Delivery) { d.CreatedAt = time.Now().Unix() })
	b.temporal.memos[ended.WorkflowID()] = map[string]any{workflows.MemoDelivery: ended}
	b.temporal.status = enums.WORKFLOW_EXECUTION_STATUS_TERMINATED
	for _, d := range []webhook.Delivery{lost, ended} {
		got := b.look(t, d.ID)
		require.Equal(t, webhook.Failed, got.Status)
		require.Equal(t, webhook.Interrupted, got.Attempts[0].Error.Code)
	}
	require.Equal(t, webhook.InProgress, b.look(t, fresh.ID).Status, "it has not been started yet")
}

func TestARedeliveryIsADeliveryOfTheSameEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	d := b.delivery(t, "batch_1", delivered)
	var ids []string
	for range 2 {
		w := b.send(t, http.MethodPost, deliveries+"/"+d.ID+"/redeliver", "")
		require.Equal(t, http.StatusAccepted, w.Code, "%s", w.Body)
		again := decode[webhook.Delivery](t, w.Body)
		require.Equal(t, deliveries+"/"+again.ID, w.Header().Get("Location"))
		require.Equal(t, d.Event, again.Event)
		require.Equal(t, d.URL, again.URL)
		require.Equal(t, d.ID, *again.Redelivers)
		require.Equal(t, webhook.InProgress, again.Status)
		require.Empty(t, again.Attempts)
		require.Equal(t, map[string]any{workflows.MemoDelivery: again}, b.temporal.memos[again.WorkflowID()])
		require.Equal(t, again, b.look(t, again.ID))
		ids = append(ids, again.ID)
	}
	require.NotEqual(t, ids[0], ids[1])
	require.Equal(t, http.StatusBadRequest, b.send(t, http.MethodPost, deliveries+"/"+d.ID+"/redeliver", `{"url":"https://b.test"}`).Code)
}

func TestWithoutTemporalDeliveriesUnderWayAreUnavailable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ended, running := b.delivery(t, "batch_1", delivered), b.delivery(t, "batch_2", nil)
	b.temporal.err = serviceerror.NewUnavailable("away")
	require.Equal(t, ended, b.look(t, ended.ID))
	require.Equal(t, http.StatusServiceUnavailable, b.send(t, http.MethodGet, deliveries+"/"+running.ID, "").Code)
	require.Equal(t, http.StatusServiceUnavailable, b.send(t, http.MethodPost, deliveries+"/"+ended.ID+"/redeliver", "").Code)
}

// A batch that runs keeps its URL in the memo as well.
func TestTheURLOfABatchIsSeenWhileItRuns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.created(t, `,"headrace":{"webhook":"https://example.com/"}`)
	require.Equal(t, batch.Extension{Options: batch.DefaultOptions(), Webhook: "https://example.com/"}, b.get(t, o.ID).Headrace)
}
