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
	w := &webhookRun{ctx: ctx, saving: disconnected, in: in}
	return w.run()
}

// webhookRun is one run of Webhook.
type webhookRun struct {
	ctx    workflow.Context
	saving workflow.Context // goes on when the workflow is cancelled
	in     WebhookInput
}

// run is the life of a delivery. A store that is away delays no event by more
// than a moment.
func (w *webhookRun) run() error {
	listed := w.save(w.in.Delivery)
	d := w.deliver()
	if listed != nil {
		if err := listed.Get(w.saving, nil); err != nil {
			return err
		}
	}
	kept := w.save(d)
	if kept == nil {
		return nil
	}
	// What is known without a worker, until it is in the store.
	if err := workflow.UpsertMemo(w.saving, map[string]any{MemoDelivery: d}); err != nil {
		return err
	}
	return kept.Get(w.saving, nil)
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

// save writes a delivery down, as part of the decision that is under way: that
// costs Temporal next to nothing. If the store cannot do it now, save returns a
// future that is ready when it could.
func (w *webhookRun) save(d webhook.Delivery) workflow.Future {
	in := activities.SaveDeliveryInput{Project: w.in.Project, Delivery: d}
	now := workflow.WithLocalActivityOptions(w.saving, saveNowOptions)
	if workflow.ExecuteLocalActivity(now, activities.NameSaveDelivery, in).Get(w.saving, nil) == nil {
		return nil
	}
	return workflow.ExecuteActivity(workflow.WithActivityOptions(w.saving, saveOptions), activities.NameSaveDelivery, in)
}
