package activities

import (
	"cmp"
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/logs"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/queue"
)

// Observer is told what activities do, from any goroutine, and must not wait. What
// is repeated, since a worker has died, may be told again.
type Observer interface {
	// BatchEnded is told of a batch whose final object is in the store, and how long
	// it took since it was created.
	BatchEnded(s openai.Status, took time.Duration)
	// Delivered is told of each attempt to deliver a webhook.
	Delivered(o Delivery)
	// Retried is told of each call of a batch that failed and is made again.
	Retried(k llm.Kind)
}

// Delivery is what an attempt to deliver a webhook came to.
type Delivery string

// Outcomes of attempts.
const (
	DeliveryAccepted Delivery = "accepted"
	DeliveryRetried  Delivery = "retried" // refused or unanswered, and will be sent again
	DeliveryGivenUp  Delivery = "given_up"
)

// Keys of log lines that nobody else has.
const (
	keyDelivery = "delivery_id"
	keyAttempts = "attempts"
)

// delivered tells of an attempt to deliver a webhook.
func (a *Activities) delivered(d Delivery) {
	if a.Observer != nil {
		a.Observer.Delivered(d)
	}
}

// retried returns what is told of calls that are made again, nil if nobody is.
func (a *Activities) retried() func(llm.Kind) {
	if a.Observer == nil {
		return nil
	}
	return a.Observer.Retried
}

// tellBegun tells of a batch whose input is good.
func tellBegun(ctx context.Context, in PlanInput, r PlanResult) {
	activity.GetLogger(ctx).Info("batch begun", logs.KeyBatchID, in.Run.Batch, logs.KeyProject, in.Run.Project,
		logs.KeyQueue, cmp.Or(in.Options.Queue, queue.Default), logs.KeyModel, r.Model, logs.KeyRequests, r.Requests)
}

// tellEnded tells of a batch whose final object is in the store.
func (a *Activities) tellEnded(ctx context.Context, run Run, o *batch.Object) {
	took := max(time.Since(time.Unix(o.CreatedAt, 0)), 0)
	if a.Observer != nil {
		a.Observer.BatchEnded(o.Status, took)
	}
	var tokens int64
	if o.Usage != nil {
		tokens = o.Usage.TotalTokens
	}
	activity.GetLogger(ctx).Info("batch ended", logs.KeyBatchID, run.Batch, logs.KeyProject, run.Project, logs.KeyStatus, string(o.Status),
		logs.KeyRequests, o.RequestCounts.Total, logs.KeyCompleted, o.RequestCounts.Completed, logs.KeyFailed, o.RequestCounts.Failed,
		logs.KeyTokens, tokens, logs.KeySeconds, int64(took.Seconds()))
}
