package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/webhook"
)

// WebhookInput is the input of Webhook.
type WebhookInput = activities.WebhookInput

// Webhook delivers one event to one URL, or gives it up after some days. Its id
// is that of the delivery: see webhook.Delivery.
func Webhook(ctx workflow.Context, in WebhookInput) error {
	disconnected, _ := workflow.NewDisconnectedContext(ctx)
	w := &webhookRun{ctx: ctx, saving: workflow.WithActivityOptions(disconnected, saveOptions), in: in}
	return w.run()
}

// webhookRun is one run of Webhook.
type webhookRun struct {
	ctx    workflow.Context
	saving workflow.Context // goes on when the workflow is cancelled
	in     WebhookInput
}

// run is the life of a delivery. A store that is away delays no event.
func (w *webhookRun) run() error {
	listed := w.save(w.in.Delivery)
	d := w.deliver()
	// What is known without a worker, until it is in the store.
	if err := workflow.UpsertMemo(w.ctx, map[string]any{MemoDelivery: d}); err != nil {
		return err
	}
	if err := listed.Get(w.saving, nil); err != nil {
		return err
	}
	return w.save(d).Get(w.saving, nil)
}

// deliver returns the delivery as it has ended.
func (w *webhookRun) deliver() webhook.Delivery {
	d := w.in.Delivery
	in := activities.DeliverInput{
		Project: w.in.Project, Delivery: d, Timeout: batch.Duration(deliverTimeout), Pauses: deliverPauses,
		Until: workflow.Now(w.ctx).Add(deliverLimit).Unix(),
	}
	err := workflow.ExecuteActivity(workflow.WithActivityOptions(w.ctx, deliverOptions), activities.NameDeliver, in).Get(w.ctx, &d)
	if err == nil {
		return d
	}
	now := workflow.Now(w.ctx).Unix()
	d.Status, d.FinishedAt = webhook.Failed, &now
	d.Attempts = webhook.Log(d.Attempts, webhook.Attempt{
		StartedAt: now, Error: &webhook.Error{Code: webhook.Interrupted, Message: err.Error()},
	})
	return d
}

// save writes a delivery down.
func (w *webhookRun) save(d webhook.Delivery) workflow.Future {
	in := activities.SaveDeliveryInput{Project: w.in.Project, Delivery: d}
	return workflow.ExecuteActivity(w.saving, activities.NameSaveDelivery, in)
}
