package workflows

import (
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/internal/ledger"
	"github.com/headrace/headrace/internal/openai"
)

// listen begins to take what comes from outside: leases of lanes, questions,
// commands, cancellation, and the deadline.
func (b *batchRun) listen(ctx workflow.Context) error {
	err := workflow.SetUpdateHandlerWithOptions(ctx, activities.UpdateLease, b.lease,
		workflow.UpdateHandlerOptions{Validator: b.checkLease})
	if err != nil {
		return err
	}
	if err := workflow.SetQueryHandler(ctx, activities.QueryStop, b.stop); err != nil {
		return err
	}
	workflow.Go(ctx, func(ctx workflow.Context) {
		ctx.Done().Receive(ctx, nil)
		b.cancel()
	})
	workflow.Go(b.ctx, func(ctx workflow.Context) {
		workflow.GetSignalChannel(ctx, SignalAbort).Receive(ctx, nil)
		b.abort = true
		if b.why != notEnding && !b.sweeping {
			b.stopLanes(ledger.Abort)
		}
	})
	workflow.Go(b.ctx, b.watchDeadline)
	workflow.Go(b.ctx, b.heed)
	return nil
}

// lease answers a lane.
func (b *batchRun) lease(_ workflow.Context, r ledger.Request) (ledger.Grant, error) {
	grant, err := b.ledger.Lease(r)
	if err != nil {
		return grant, fenced(err)
	}
	if grant.Settings != nil {
		grant.Settings.Queue, grant.Settings.Priority = b.object.Headrace.Queue, b.object.Headrace.CallPriority()
	}
	b.grow()
	if r.Draining { // its hands are for others
		b.steered = true
	}
	b.redeal()
	if r.Leaving {
		b.left = append(b.left, r.Lane)
		return grant, b.publish()
	}
	return grant, nil
}

// grow counts what makes the history longer.
func (b *batchRun) grow() {
	if b.requests++; b.requests >= requestsPerRun || workflow.GetInfo(b.ctx).GetContinueAsNewSuggested() {
		b.rollOver()
	}
}

// checkLease refuses attempts that are over before they reach the history.
func (b *batchRun) checkLease(r ledger.Request) error {
	if b.ledger == nil || !b.ledger.Admits(r) {
		return fenced(ledger.ErrFenced)
	}
	return nil
}

func fenced(err error) error {
	return temporal.NewNonRetryableApplicationError(err.Error(), activities.ErrorFenced, nil)
}

// rollOver makes the lanes leave, so that the batch can go on in a new run.
func (b *batchRun) rollOver() {
	if b.rollover || b.ledger == nil || b.ledger.Complete() {
		return
	}
	b.rollover = true
	b.stopLanes(ledger.Drain)
}

// stop tells how lanes should stop.
func (b *batchRun) stop() (ledger.Stop, error) {
	if b.ledger == nil {
		return ledger.Go, nil
	}
	return b.ledger.Stopped, nil
}

// cancel ends the batch because somebody asked for it.
func (b *batchRun) cancel() {
	if b.why != notEnding || b.object.Status == openai.Finalizing {
		return
	}
	b.object.Status, b.object.CancellingAt = openai.Cancelling, b.now()
	b.end(cancelled)
	b.logged(b.publish())
}

// logged logs the error of publishing where there is nobody to return it to.
func (b *batchRun) logged(err error) {
	if err != nil {
		workflow.GetLogger(b.ctx).Error("publish batch", "error", err)
	}
}

// end makes the lanes leave because nothing more shall be called. Calls in
// flight go on for a while, unless they are to be cut off.
func (b *batchRun) end(why ending) {
	if b.why != notEnding {
		return
	}
	b.why = why
	if b.object.Headrace.Paused {
		b.object = b.object.Unpaused()
		b.logged(b.publish())
	}
	if b.abort {
		b.stopLanes(ledger.Abort)
		return
	}
	b.stopLanes(ledger.Drain)
	workflow.Go(b.ctx, func(ctx workflow.Context) {
		if workflow.Sleep(ctx, drainLimit) == nil && !b.sweeping {
			b.stopLanes(ledger.Abort)
		}
	})
}
