package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/headrace/headrace/internal/ledger"
	"github.com/headrace/headrace/internal/store"
)

// ledgerClient speaks for one attempt of a lane to the ledger of its workflow.
type ledgerClient struct {
	client        client.Client
	workflow, run string
	lane, attempt int
	asked         int
}

func newLedgerClient(ctx context.Context, lane int) *ledgerClient {
	info := activity.GetInfo(ctx)
	return &ledgerClient{
		client: activity.GetClient(ctx), workflow: info.WorkflowExecution.ID, run: info.WorkflowExecution.RunID,
		lane: lane, attempt: int(info.Attempt),
	}
}

// ask sends one request, again and again until there is an answer or ctx ends.
// An update id makes repetitions harmless. It returns ledger.ErrFenced when the
// attempt is over.
func (c *ledgerClient) ask(ctx context.Context, r ledger.Request) (ledger.Grant, error) {
	r.Lane, r.Attempt = c.lane, c.attempt
	id := fmt.Sprintf("%d-%d-%d", c.lane, c.attempt, c.asked)
	c.asked++
	var grant ledger.Grant
	err := patiently(ctx, func() error {
		handle, err := c.client.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
			WorkflowID: c.workflow, RunID: c.run, UpdateName: UpdateLease, UpdateID: id,
			Args: []any{r}, WaitForStage: client.WorkflowUpdateStageCompleted,
		})
		if err == nil {
			err = handle.Get(ctx, &grant)
		}
		return fenced(err)
	})
	return grant, err
}

// stop asks how the lane should stop.
func (c *ledgerClient) stop(ctx context.Context) (ledger.Stop, error) {
	var stop ledger.Stop
	value, err := c.client.QueryWorkflow(ctx, c.workflow, c.run, QueryStop)
	if err == nil {
		err = value.Get(&stop)
	}
	return stop, fenced(err)
}

// fenced recognises the errors that mean that nobody listens to this attempt
// any more: the ledger says so, or the run has ended.
func fenced(err error) error {
	var app *temporal.ApplicationError
	var gone *serviceerror.NotFound
	if errors.As(err, &app) && app.Type() == ErrorFenced || errors.As(err, &gone) {
		return ledger.ErrFenced
	}
	return err
}

// Pauses between tries of patiently.
const (
	firstPause   = 50 * time.Millisecond
	longestPause = 2 * time.Second
)

// patiently tries until it succeeds, the attempt is over, the error is one that
// no retry mends, or ctx ends. The store and Temporal may be away for a while;
// that is no reason to give up a lane.
func patiently(ctx context.Context, try func() error) error {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := try()
		var app *temporal.ApplicationError
		switch {
		case err == nil, errors.Is(err, ledger.ErrFenced), errors.Is(err, store.ErrNotFound):
			return err
		case errors.As(err, &app) && app.NonRetryable():
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}
