package activities

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/headrace/headrace/internal/egress"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/logs"
	"github.com/headrace/headrace/internal/webhook"
)

// Deliver sends an event to its URL, once per attempt, and returns the delivery
// when it has ended: accepted, or given up. A failure that will be tried again
// is an error that carries the pause until then. The log goes from attempt to
// attempt in the heartbeat, where it can be read without a worker.
//
// The event may arrive more than once: when the worker dies after it was sent,
// or its answer gets lost. Receivers know it by its id.
func (a *Activities) Deliver(ctx context.Context, in DeliverInput) (webhook.Delivery, error) {
	d := in.Delivery
	if activity.HasHeartbeatDetails(ctx) {
		if err := activity.GetHeartbeatDetails(ctx, &d.Attempts); err != nil {
			return d, fmt.Errorf("read log of delivery: %w", err)
		}
	}
	end := stayAlive(ctx, d.Attempts)
	attempt, asked := a.tryDelivery(ctx, in)
	end()
	if ctx.Err() != nil {
		return d, errStopping // nothing that the receiver has done
	}
	pause := max(pauseAfter(in, len(d.Attempts)), asked)
	d.Attempts = webhook.Log(d.Attempts, attempt)
	now := time.Now()
	switch {
	case attempt.Error == nil:
		a.delivered(DeliveryAccepted)
		return endDelivery(d, webhook.Delivered, now), nil
	case attempt.Error.Code == webhook.NotAllowed, attempt.Error.Code == webhook.Gone, now.Add(pause).Unix() > in.Until:
		a.delivered(DeliveryGivenUp)
		activity.GetLogger(ctx).Warn("webhook given up", keyDelivery, d.ID, keyAttempts, len(d.Attempts), logs.KeyReason, string(attempt.Error.Code))
		return endDelivery(d, webhook.Failed, now), nil
	}
	a.delivered(DeliveryRetried)
	activity.RecordHeartbeat(ctx, d.Attempts) // sent before the error, at the latest
	return d, temporal.NewApplicationErrorWithOptions(attempt.Error.Message, string(attempt.Error.Code), temporal.ApplicationErrorOptions{
		NextRetryDelay: pause, Category: temporal.ApplicationErrorCategoryBenign, // a receiver that is down is in the delivery's log
	})
}

func endDelivery(d webhook.Delivery, s webhook.Status, at time.Time) webhook.Delivery {
	seconds := at.Unix()
	d.Status, d.FinishedAt = s, &seconds
	return d
}

// jitter is the share of a pause by which it may grow, so that events which
// failed together do not come back together.
const jitter = 0.2

// pauseAfter is the time to wait after so many attempts and one more.
func pauseAfter(in DeliverInput, before int) time.Duration {
	if len(in.Pauses) == 0 {
		return 0
	}
	pause := float64(in.Pauses[min(before, len(in.Pauses)-1)])
	return time.Duration(pause * (1 + jitter*rand.Float64())) //nolint:gosec // nobody gains by guessing it
}

// tryDelivery sends the event once, and returns what came of it and how long the
// receiver asks to wait.
func (a *Activities) tryDelivery(ctx context.Context, in DeliverInput) (webhook.Attempt, time.Duration) {
	begun := time.Now()
	resp, failure := a.sendEvent(ctx, in, begun)
	out := webhook.Attempt{
		StartedAt: begun.Unix(), DurationMS: time.Since(begun).Milliseconds(), Error: failure, Answer: string(resp.Body),
	}
	if resp.Status != 0 {
		out.StatusCode = &resp.Status
	}
	if resp.Status == http.StatusTooManyRequests || resp.Status == http.StatusServiceUnavailable {
		return out, llm.RetryAfter(resp.Header, time.Now())
	}
	return out, 0
}

// sendEvent makes the call. The bytes and the id are those of the event; the
// signature is of now.
func (a *Activities) sendEvent(ctx context.Context, in DeliverInput, now time.Time) (egress.Response, *webhook.Error) {
	var none egress.Response
	if a.Webhooks.Client == nil || a.Webhooks.Key == nil {
		return none, webhookError(webhook.NoSecret, "this worker is not configured to deliver webhooks")
	}
	key, err := a.Webhooks.Key(in.Project)
	if err != nil {
		return none, webhookError(webhook.NoSecret, err.Error())
	}
	body, err := in.Delivery.Event.Body()
	if err != nil {
		return none, webhookError(webhook.NotAllowed, err.Error())
	}
	resp, err := a.Webhooks.Client.Call(ctx, egress.Request{
		Method: http.MethodPost, URL: in.Delivery.URL, Body: body, Timeout: time.Duration(in.Timeout),
		Header: key.Header(in.Delivery.Event.ID, now, body),
	})
	if resp.Status == 0 {
		return resp, unanswered(err, time.Duration(in.Timeout))
	}
	return resp, answered(resp.Status) // whatever became of the rest
}

// unanswered is the error of an attempt without an answer.
func unanswered(err error, limit time.Duration) *webhook.Error {
	timeout, ok := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, egress.ErrForbidden):
		return webhookError(webhook.NotAllowed, err.Error())
	case errors.Is(err, context.DeadlineExceeded), ok && timeout.Timeout():
		return webhookError(webhook.Timeout, fmt.Sprintf("no answer within %v", limit))
	default:
		return webhookError(webhook.NoConnection, err.Error())
	}
}

// answered is the error of an answer, or nil if it accepts the event.
func answered(status int) *webhook.Error {
	switch {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusGone:
		return webhookError(webhook.Gone, "the receiver wants no more events")
	case status >= 300 && status < 400:
		return webhookError(webhook.BadStatus, fmt.Sprintf("the receiver answered %d, and redirects are not followed", status))
	default:
		return webhookError(webhook.BadStatus, fmt.Sprintf("the receiver answered %d", status))
	}
}

func webhookError(code webhook.Code, message string) *webhook.Error {
	return &webhook.Error{Code: code, Message: message}
}
