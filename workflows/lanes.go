package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/internal/ledger"
	"github.com/headrace/headrace/internal/openai"
)

// runLanes opens as many lanes as the batch may have and waits until all have
// left.
func (b *batchRun) runLanes() {
	ctx, cancel := workflow.WithCancel(workflow.WithActivityOptions(b.ctx, laneOptions))
	b.cancelLanes = cancel
	b.left = nil
	lanes := workflow.NewWaitGroup(b.ctx)
	for _, hands := range b.lanes() {
		in := b.workInput(hands)
		lanes.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer lanes.Done()
			err := workflow.ExecuteActivity(ctx, activities.NameWork, in).Get(ctx, nil)
			b.ledger.CloseLane(in.Lane) // a lane that has taken its leave is closed already
			if err != nil && b.ledger.Stopped == ledger.Go {
				b.fail(err)
			}
		})
	}
	lanes.Wait(b.ctx)
	cancel()
	b.cancelLanes = func() {}
}

// lanes returns the hands of each lane to open, no more lanes than chunks.
func (b *batchRun) lanes() []int {
	done := b.ledger.Left.Completed + b.ledger.Left.Failed
	lanes := b.object.Headrace.Lanes(b.object.RequestCounts.Total - done)
	return lanes[:min(int64(len(lanes)), b.ledger.Available())]
}

func (b *batchRun) workInput(hands int) activities.WorkInput {
	in := activities.WorkInput{
		Run: b.in.Run, InputFileID: b.object.InputFileID, Endpoint: b.object.Endpoint, Options: b.object.Headrace.Options,
		Lane: b.ledger.OpenLane(), Hands: hands, Accepted: b.object.CreatedAt,
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
