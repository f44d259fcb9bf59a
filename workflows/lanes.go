package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/ledger"
	"github.com/headrace/headrace/internal/openai"
)

// runLanes keeps as many lanes open as the batch may have, until all have left and
// none is wanted: everything is done, they were told to stop, or what they gave
// back is for lanes of the next turn. A paused batch waits here.
func (b *batchRun) runLanes() error {
	b.laneCtx, b.cancelLanes = workflow.WithCancel(workflow.WithActivityOptions(b.ctx, laneOptions))
	b.left = nil
	b.deal()
	// What a workflow awaits it looks at again whenever anything has happened.
	err := workflow.Await(b.ctx, func() bool {
		return b.open == 0 && (!b.object.Headrace.Paused || b.ledger.Stopped != ledger.Go || b.ledger.Complete())
	})
	b.cancelLanes()
	b.cancelLanes = func() {}
	return err
}

// deal shares the hands that the batch may have out to its lanes, and opens lanes
// for those that are left, no more than there are chunks.
func (b *batchRun) deal() {
	if b.ledger.Stopped != ledger.Go {
		return
	}
	lanes := batch.Split(b.ledger.Deal(b.hands(), batch.HandsPerLane))
	for _, hands := range lanes[:min(int64(len(lanes)), b.ledger.Available())] {
		b.openLane(b.workInput(hands))
	}
}

// hands is the most calls that the batch may have in flight.
func (b *batchRun) hands() int {
	if b.object.Headrace.Paused {
		return 0
	}
	done := b.ledger.Left.Completed + b.ledger.Left.Failed
	return b.object.Headrace.Hands(b.object.RequestCounts.Total - done)
}

// openLane opens a lane, which ends as it sees fit.
func (b *batchRun) openLane(in activities.WorkInput) {
	b.open++
	workflow.Go(b.laneCtx, func(ctx workflow.Context) {
		defer func() { b.open-- }()
		err := workflow.ExecuteActivity(ctx, activities.NameWork, in).Get(ctx, nil)
		b.ledger.CloseLane(in.Lane) // a lane that has taken its leave is closed already
		if b.steered {              // there may be very many
			b.left = slices.DeleteFunc(b.left, func(lane int) bool { return lane == in.Lane })
		}
		if err != nil && b.ledger.Stopped == ledger.Go {
			b.fail(err)
		}
		b.redeal()
	})
}

func (b *batchRun) workInput(hands int) activities.WorkInput {
	in := activities.WorkInput{
		Run: b.in.Run, InputFileID: b.object.InputFileID, Endpoint: b.object.Endpoint, Options: b.object.Headrace.Options,
		Lane: b.ledger.OpenLane(hands), Hands: hands,
	}
	if b.sweeping {
		in.Unmade = unmade(b.why)
	}
	return in
}

// unmade is the error of requests that a batch leaves undone.
func unmade(why ending) *activities.Unmade {
	if why == expired {
		return &activities.Unmade{
			Code:    openai.CodeBatchExpired,
			Message: "This request could not be executed before the completion window expired.",
		}
	}
	return &activities.Unmade{
		Code:    openai.CodeBatchCancelled,
		Message: "This request was not executed because the batch was cancelled.",
	}
}

// fail ends a batch whose input or index has been lost. Results that it has
// stay readable.
func (b *batchRun) fail(err error) {
	b.why = broken
	b.object.Errors = &openai.BatchErrors{
		Object: "list", Data: []openai.BatchError{{Code: codeInternal, Message: err.Error()}},
	}
	b.stopLanes(ledger.Drain)
}

// codeInternal is the code of a batch error that is nobody's request's fault.
const codeInternal = "internal_error"

// stopLanes makes every lane leave.
func (b *batchRun) stopLanes(how ledger.Stop) {
	if b.ledger == nil {
		return
	}
	b.ledger.Stop(how)
	b.cancelLanes()
}
