package activities

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/egress"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/webhook"
)

// Names of what delivers webhooks, as histories have them.
const (
	// NameWebhook is the type of the workflow that carries one delivery out. It
	// is named here since activities start it.
	NameWebhook      = "Webhook"
	NameNotify       = "Notify"
	NameDeliver      = "Deliver"
	NameSaveDelivery = "SaveDelivery"
	// MemoDelivery is the key of the memo that holds the delivery. While it is
	// tried, its log is in the heartbeat of Deliver: see Attempts.
	MemoDelivery = "delivery"
)

// WebhookQueue is where deliveries wait for workers: not behind other work, and
// nothing else behind them.
const WebhookQueue = TaskQueue + "-webhooks"

// Attempts is the heartbeat of Deliver: the log so far.
type Attempts = []webhook.Attempt

// WebhookInput is the input of the workflow Webhook.
type WebhookInput struct {
	Project  string           `json:"project"`
	Delivery webhook.Delivery `json:"delivery"`
}

// NotifyInput is the input of Notify.
type NotifyInput struct {
	Project string        `json:"project"`
	URL     string        `json:"url"`
	Event   webhook.Event `json:"event"`
}

// DeliverInput is the input of Deliver. Its result is the delivery as it has
// ended.
type DeliverInput struct {
	Project  string           `json:"project"`
	Delivery webhook.Delivery `json:"delivery"`
	// Timeout bounds one attempt.
	Timeout batch.Duration `json:"timeout"`
	// Pauses are the times between attempts; the last one is repeated.
	Pauses []batch.Duration `json:"pauses"`
	// Until is when no further attempt is begun, in unix seconds. There is
	// always a first one.
	Until int64 `json:"until"`
}

// SaveDeliveryInput is the input of SaveDelivery.
type SaveDeliveryInput struct {
	Project  string           `json:"project"`
	Delivery webhook.Delivery `json:"delivery"`
}

// Webhooks is what the delivery of webhooks needs. Without it, deliveries wait
// for a worker that has it.
type Webhooks struct {
	Client *egress.Client
	// Key returns what signs the events of a project, or an error that says
	// what to configure.
	Key func(project string) (webhook.Key, error)
}

// webhookTaskTimeout is how long a worker may take to decide about a delivery.
const webhookTaskTimeout = 5 * time.Second

// notify begins to deliver an event to a URL and does not wait for it. An event
// of one type happens to an object once: to call it again, from a repeated
// activity for example, changes nothing, whatever the event's id.
func notify(ctx context.Context, c client.Client, event webhook.Event, url, project string) error {
	d := webhook.NewDelivery(openai.NewID(webhook.PrefixDelivery), event, url, time.Now().Unix())
	_, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: d.WorkflowID(), TaskQueue: TaskQueue, WorkflowTaskTimeout: webhookTaskTimeout,
		WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE, // an earlier start is taken for this one
		Memo:                  map[string]any{MemoDelivery: d},
	}, NameWebhook, WebhookInput{Project: project, Delivery: d})
	if err != nil {
		return fmt.Errorf("start webhook: %w", err)
	}
	return nil
}

// Notify begins to deliver an event.
func (a *Activities) Notify(ctx context.Context, in NotifyInput) error {
	defer stayAlive(ctx)()
	return notify(ctx, activity.GetClient(ctx), in.Event, in.URL, in.Project)
}

// SaveDelivery writes a delivery down, as it begins and again as it has ended.
// From the first time on it is listed.
func (a *Activities) SaveDelivery(ctx context.Context, in SaveDeliveryInput) error {
	defer stayAlive(ctx)()
	return a.Store.SaveDelivery(ctx, in.Project, in.Delivery)
}
