package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/headrace/headrace/internal/egress"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/webhook"
	"github.com/headrace/headrace/workflows"
)

// Webhooks says who may hear of the end of things. The zero value lets any
// public host hear of what asks for it.
type Webhooks struct {
	// Guard decides which URLs may be asked for.
	Guard *egress.Guard
	// URL hears of what asks for no other, "" for nobody.
	URL string
}

// orDefault is w with the guard that rules without an entry make.
func (w Webhooks) orDefault() Webhooks {
	if w.Guard == nil {
		w.Guard, _ = egress.Rules{}.Public() // only entries can be wrong
	}
	return w
}

// webhook reads the URL that wants to hear of the end, and the configured one
// if it is absent.
func (a *API) webhook(p *params) string {
	url := p.text("webhook")
	if url == "" {
		return a.webhooks.URL
	}
	if err := a.webhooks.Guard.CheckURL(url); err != nil {
		p.fail(openai.InvalidRequest(p.path+"webhook", openai.CodeInvalidValue, "Invalid value for '%s': %s.", p.path+"webhook", err))
	}
	return url
}

func (a *API) listDeliveries(c *gin.Context) error {
	page, err := pageOf(c, webhook.PrefixDelivery, batchesPage)
	if err != nil {
		return err
	}
	ctx, subject := c.Request.Context(), c.Query("subject")
	list, err := list(page, a.store.DeliveryIDs(ctx, project(c)), func(id string) (webhook.Delivery, bool, error) {
		d, err := a.store.Delivery(ctx, project(c), id)
		if errors.Is(err, store.ErrNotFound) || subject != "" && d.Event.Data.ID != subject {
			return d, false, nil
		}
		if err == nil {
			d, err = a.watchDelivery(ctx, project(c), d)
		}
		return d, true, err
	}, func(d webhook.Delivery) string { return d.ID })
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, list)
	return nil
}

func (a *API) getDelivery(c *gin.Context) error {
	d, err := a.knownDelivery(c)
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, d)
	return nil
}

// redeliver sends an event again, with its id and its bytes. It is a delivery of
// its own, whatever has become of the first one.
func (a *API) redeliver(c *gin.Context) error {
	p, err := bodyParams(c)
	if err != nil {
		return err
	}
	if err := p.done(); err != nil {
		return err
	}
	d, err := a.knownDelivery(c)
	if err != nil {
		return err
	}
	again := webhook.NewDelivery(openai.NewID(webhook.PrefixDelivery), d.Event, d.URL, time.Now().Unix())
	again.Redelivers = &d.ID
	ctx := c.Request.Context()
	// It is in the store before its workflow writes it there, so that whoever
	// has the answer finds it.
	if err := a.store.SaveDelivery(ctx, project(c), again); err != nil {
		return err
	}
	_, err = a.startWorkflow(ctx, client.StartWorkflowOptions{
		ID: again.WorkflowID(), Memo: map[string]any{workflows.MemoDelivery: again},
	}, workflows.NameWebhook, workflows.WebhookInput{Project: project(c), Delivery: again})
	if err != nil {
		return err
	}
	c.Header("Location", "/v1/webhooks/deliveries/"+again.ID)
	c.JSON(http.StatusAccepted, again)
	return nil
}

// knownDelivery is the delivery that the path names.
func (a *API) knownDelivery(c *gin.Context) (webhook.Delivery, error) {
	ctx, id := c.Request.Context(), c.Param("id")
	d, err := a.store.Delivery(ctx, project(c), id)
	if errors.Is(err, store.ErrNotFound) {
		return d, openai.NotFound("", "No webhook delivery found with id '%s'.", id)
	}
	if err != nil {
		return d, err
	}
	return a.watchDelivery(ctx, project(c), d)
}

// startsWithin is how long after its delivery was written down a workflow may
// still have to be started.
const startsWithin = time.Minute

// watchDelivery is d, as the store has it, with what its workflow knows as long
// as it runs. That needs no worker.
func (a *API) watchDelivery(ctx context.Context, project string, d webhook.Delivery) (webhook.Delivery, error) {
	if d.Status != webhook.InProgress {
		return d, nil
	}
	w, err := a.temporal.DescribeWorkflowExecution(ctx, d.WorkflowID(), "")
	if _, gone := errors.AsType[*serviceerror.NotFound](err); gone {
		if time.Since(time.Unix(d.CreatedAt, 0)) < startsWithin {
			return d, nil
		}
		return interrupted(d, "the workflow of this delivery was never started, or was deleted"), nil
	}
	if err != nil {
		return d, fmt.Errorf("describe webhook: %w", err)
	}
	if w.GetWorkflowExecutionInfo().GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return a.payloads.underWay(d, w)
	}
	// It has ended since we looked, or was ended by hand.
	if d, err = a.store.Delivery(ctx, project, d.ID); err != nil || d.Status != webhook.InProgress {
		return d, err
	}
	return interrupted(d, "the workflow of this delivery was ended from outside"), nil
}

// underWay adds to a delivery what its workflow and its activity tell.
func (p payloads) underWay(d webhook.Delivery, w *workflowservice.DescribeWorkflowExecutionResponse) (webhook.Delivery, error) {
	if payload, ok := w.GetWorkflowExecutionInfo().GetMemo().GetFields()[workflows.MemoDelivery]; ok {
		if err := p.decode(payload, &d); err != nil {
			return d, err
		}
	}
	for _, activity := range w.GetPendingActivities() {
		if activity.GetActivityType().GetName() != workflows.NameDeliver {
			continue
		}
		if details := activity.GetHeartbeatDetails().GetPayloads(); len(details) > 0 {
			var log workflows.DeliveryLog
			if err := p.decode(details[0], &log); err != nil {
				return d, err
			}
			d.Attempts = append(d.Attempts, log...)
		}
		if next := activity.GetNextAttemptScheduleTime(); next != nil && activity.GetState() == enums.PENDING_ACTIVITY_STATE_SCHEDULED {
			at := next.GetSeconds()
			d.NextAttemptAt = &at
		}
	}
	return d, nil
}

// interrupted is a delivery that nobody carries out any more.
func interrupted(d webhook.Delivery, why string) webhook.Delivery {
	d.Status = webhook.Failed
	d.Attempts = webhook.Log(d.Attempts, webhook.Attempt{
		StartedAt: d.CreatedAt, Error: &webhook.Error{Code: webhook.Interrupted, Message: why},
	})
	return d
}
