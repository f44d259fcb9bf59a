package workflows_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/ledger"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/webhook"
	"github.com/headrace/headrace/workflows"
)

// hookBundle runs one delivery on a clock that skips.
type hookBundle struct {
	env   *testsuite.TestWorkflowEnvironment
	in    workflows.WebhookInput
	saved []webhook.Delivery
	away  int // times that the store is away
	memo  webhook.Delivery
	asked activities.DeliverInput
}

func setupHook(t *testing.T) *hookBundle {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	b := &hookBundle{env: suite.NewTestWorkflowEnvironment()}
	b.env.RegisterWorkflowWithOptions(workflows.Webhook, workflow.RegisterOptions{Name: workflows.NameWebhook})
	var a *activities.Activities
	b.env.RegisterActivityWithOptions(a.Deliver, activity.RegisterOptions{Name: activities.NameDeliver})
	b.env.RegisterActivityWithOptions(a.SaveDelivery, activity.RegisterOptions{Name: activities.NameSaveDelivery})
	event := webhook.NewEvent(webhook.BatchCompleted, "batch_1", b.env.Now())
	b.in = workflows.WebhookInput{
		Project: "default", Delivery: webhook.NewDelivery(openai.NewID(webhook.PrefixDelivery), event, "https://a.test/", b.env.Now().Unix()),
	}
	b.env.OnUpsertMemo(mock.Anything).Run(func(args mock.Arguments) {
		b.memo = args.Get(0).(map[string]any)[workflows.MemoDelivery].(webhook.Delivery)
	}).Return(nil).Maybe()
	b.env.OnActivity(activities.NameSaveDelivery, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in activities.SaveDeliveryInput) error {
			if b.away--; b.away >= 0 {
				return errors.New("away")
			}
			b.saved = append(b.saved, in.Delivery)
			return nil
		}).Maybe()
	return b
}

// deliver makes Deliver end so.
func (b *hookBundle) deliver(end webhook.Delivery, err error) *testsuite.MockCallWrapper {
	return b.env.OnActivity(activities.NameDeliver, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in activities.DeliverInput) (webhook.Delivery, error) {
			b.asked = in
			return end, err
		})
}

func TestADeliveryIsListedAtOnceAndKeptAsItEnds(t *testing.T) {
	t.Parallel()
	b := setupHook(t)
	end := b.in.Delivery
	end.Status, end.Attempts = webhook.Delivered, []webhook.Attempt{{StartedAt: 1}}
	begun := b.env.Now()
	b.deliver(end, nil)
	b.env.ExecuteWorkflow(workflows.NameWebhook, b.in)
	require.NoError(t, b.env.GetWorkflowError())
	require.Equal(t, []webhook.Delivery{b.in.Delivery, end}, b.saved)
	require.Empty(t, b.memo.ID, "the store has it")
	require.Equal(t, b.in.Delivery, b.asked.Delivery)
	require.Equal(t, "default", b.asked.Project)
	require.Equal(t, begun.Add(72*time.Hour).Unix(), b.asked.Until)
	require.Equal(t, batch.Duration(15*time.Second), b.asked.Timeout)
	pauses, err := json.Marshal(b.asked.Pauses)
	require.NoError(t, err)
	require.JSONEq(t, `["5s","30s","2m0s","10m0s","30m0s","1h0m0s","2h0m0s"]`, string(pauses))
}

func TestADeliveryWaitsAsItsActivitySays(t *testing.T) {
	t.Parallel()
	b := setupHook(t)
	end := b.in.Delivery
	end.Status = webhook.Delivered
	failure := temporal.NewApplicationErrorWithOptions("down", "bad_status", temporal.ApplicationErrorOptions{NextRetryDelay: 40 * time.Hour})
	b.deliver(webhook.Delivery{}, failure).Times(2)
	b.deliver(end, nil).Once()
	begun := b.env.Now()
	b.env.ExecuteWorkflow(workflows.NameWebhook, b.in)
	require.NoError(t, b.env.GetWorkflowError())
	require.Equal(t, webhook.Delivered, b.saved[1].Status)
	require.InDelta(t, 80, b.env.Now().Sub(begun).Hours(), 1)
}

func TestADeliveryIsKeptOnceTheStoreIsBack(t *testing.T) {
	t.Parallel()
	for away := range 8 {
		b := setupHook(t)
		b.away = away
		end := b.in.Delivery
		end.Status = webhook.Delivered
		b.deliver(end, nil)
		b.env.ExecuteWorkflow(workflows.NameWebhook, b.in)
		require.NoError(t, b.env.GetWorkflowError())
		require.Equal(t, []webhook.Delivery{b.in.Delivery, end}, b.saved, "in this order, %d failures", away)
	}
}

// A delivery can also be ended from outside, in the Temporal Web UI.
func TestADeliveryThatIsCancelledHasFailed(t *testing.T) {
	t.Parallel()
	b := setupHook(t)
	b.deliver(webhook.Delivery{}, nil).After(time.Hour)
	b.env.RegisterDelayedCallback(b.env.CancelWorkflow, time.Minute)
	b.env.ExecuteWorkflow(workflows.NameWebhook, b.in)
	require.NoError(t, b.env.GetWorkflowError())
	require.Len(t, b.saved, 2)
	require.Equal(t, webhook.Failed, b.saved[1].Status)
	require.NotNil(t, b.saved[1].FinishedAt)
	require.Equal(t, webhook.Interrupted, b.saved[1].Attempts[0].Error.Code)
	require.Equal(t, b.in.Delivery.ID, b.saved[1].ID)
}

// play runs a batch to its end and returns what was notified.
func (b *testBundle) play(status openai.Status) []activities.NotifyInput {
	b.Helper()
	var notified []activities.NotifyInput
	b.env.OnActivity(activities.NameNotify, mock.Anything, mock.Anything).Return(func(_ context.Context, in activities.NotifyInput) error {
		require.NotNil(b, b.finished, "nobody hears of an end that cannot be seen yet")
		notified = append(notified, in)
		if len(notified) < 3 {
			return errors.New("away")
		}
		return nil
	}).Maybe()
	b.requireEnd(status)
	return notified
}

func TestTheEndOfABatchIsTold(t *testing.T) {
	t.Parallel()
	completed := setup(t)
	completed.plan(time.Second, activities.PlanResult{Requests: 1, Chunks: 1})
	completed.lane(10*time.Second, nil)
	completed.at(2*time.Second, func() { completed.lease(ledger.Request{Attempt: 1, Want: 1}, false) })
	completed.at(3*time.Second, func() {
		completed.lease(ledger.Request{Attempt: 1, Leaving: true, Commits: []ledger.Commit{commit(0, 1, 0)}}, false)
	})
	failed := setup(t)
	failed.plan(0, activities.PlanResult{Problems: 1})
	for status, b := range map[openai.Status]*testBundle{openai.Completed: completed, openai.Failed: failed} {
		b.in.Object.Headrace.Webhook = "https://a.test/"
		notified := b.play(status)
		require.Len(t, notified, 3, "until it is told")
		require.Equal(t, notified[0], notified[2], "with the same event")
		in := notified[0]
		require.Equal(t, "https://a.test/", in.URL)
		require.Equal(t, b.in.Run.Project, in.Project)
		require.Equal(t, webhook.OfBatch(status), in.Event.Type)
		require.Equal(t, b.in.Run.Batch, in.Event.Data.ID)
		require.True(t, openai.ValidID(webhook.PrefixEvent, in.Event.ID))
		require.GreaterOrEqual(t, in.Event.CreatedAt, b.begun.Unix())
	}
}

func TestABatchWithoutAWebhookTellsNobody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.plan(0, activities.PlanResult{Problems: 1})
	require.Empty(t, b.play(openai.Failed))
}

// TestTheWireOfWebhooksStaysAsItIs pins what histories, memos and heartbeats of
// deliveries hold.
func TestTheWireOfWebhooksStaysAsItIs(t *testing.T) {
	t.Parallel()
	d := webhook.NewDelivery("whd_1", webhook.EventOf("evt_1", webhook.TaskFailed, "task_1", time.Unix(1, 0)), "https://a.test/", 2)
	wire := map[string]any{
		"names": []string{
			workflows.NameWebhook, workflows.MemoDelivery, workflows.NameDeliver, activities.NameNotify, activities.NameSaveDelivery,
			activities.WebhookQueue,
		},
		"webhook input": workflows.WebhookInput{Project: "default", Delivery: d},
		"notify input":  activities.NotifyInput{Project: "default", URL: "https://a.test/", Event: d.Event},
		"deliver input": activities.DeliverInput{
			Project: "default", Delivery: d, Timeout: batch.Duration(time.Second), Pauses: []batch.Duration{batch.Duration(time.Minute)}, Until: 3,
		},
		"save input": activities.SaveDeliveryInput{Project: "default", Delivery: d},
		"heartbeat": workflows.DeliveryLog{{
			StartedAt: 1, DurationMS: 2, StatusCode: new(503), Error: &webhook.Error{Code: webhook.BadStatus, Message: "m"}, Answer: "a",
		}},
	}
	got, err := json.MarshalIndent(wire, "", "  ")
	require.NoError(t, err)
	golden := filepath.Join("testdata", "wire_webhook.json")
	if *update {
		require.NoError(t, os.WriteFile(golden, append(got, '\n'), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got)+"\n", "if this is meant, keep old histories replaying and run with -update")
}
