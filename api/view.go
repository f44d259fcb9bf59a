package api

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/workflows"
)

// view returns a batch as it is now, or store.ErrNotFound. The object of one
// that has ended is in the store; that of a running one is in the memo of its
// workflow, and the heartbeats of its lanes tell the rest. Neither needs a
// worker.
func (a *API) view(ctx context.Context, run workflows.Run) (batch.Object, error) {
	if err := a.mustExist(ctx, run); err != nil {
		return batch.Object{}, err
	}
	o, err := a.ended(ctx, run)
	if !errors.Is(err, store.ErrNotFound) {
		return o, err
	}
	d, err := a.temporal.DescribeWorkflowExecution(ctx, run.Batch, "")
	var unknown *serviceerror.NotFound
	switch {
	case errors.As(err, &unknown):
		return o, store.ErrNotFound
	case err != nil:
		return o, fmt.Errorf("describe batch: %w", err)
	}
	status := d.GetWorkflowExecutionInfo().GetStatus()
	if status == enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return a.payloads.running(d)
	}
	// It has ended since we looked, or was ended by hand and left no object.
	if o, err = a.ended(ctx, run); !errors.Is(err, store.ErrNotFound) {
		return o, err
	}
	o, err = a.payloads.memo(d)
	o.Status = openai.Failed
	at := d.GetWorkflowExecutionInfo().GetCloseTime().GetSeconds()
	o.FailedAt = &at
	o.Errors = &openai.BatchErrors{Object: "list", Data: []openai.BatchError{{
		Code: "workflow_" + status.String(), Message: "The workflow of this batch was ended from outside.",
	}}}
	return o, err
}

// mustExist returns store.ErrNotFound for a batch that was never created, or
// by another project.
func (a *API) mustExist(ctx context.Context, run workflows.Run) error {
	if !openai.ValidID(openai.PrefixBatch, run.Batch) {
		return store.ErrNotFound
	}
	marked, err := a.store.BatchMarked(ctx, run)
	if err == nil && !marked {
		return store.ErrNotFound
	}
	return err
}

// ended reads the object of a batch that has ended.
func (a *API) ended(ctx context.Context, run workflows.Run) (batch.Object, error) {
	var o batch.Object
	return o, a.store.GetJSON(ctx, run.Object(), &o)
}

// running puts together what is known of a batch that runs.
func (p payloads) running(d *workflowservice.DescribeWorkflowExecutionResponse) (batch.Object, error) {
	o, err := p.memo(d)
	if err != nil {
		return o, err
	}
	var left []int
	if payload, ok := d.GetWorkflowExecutionInfo().GetMemo().GetFields()[workflows.MemoLeft]; ok {
		if err := p.decode(payload, &left); err != nil {
			return o, err
		}
	}
	var lanes []batch.Progress
	for _, activity := range d.GetPendingActivities() {
		if activity.GetActivityType().GetName() != workflows.NameLane {
			continue
		}
		details := activity.GetHeartbeatDetails().GetPayloads()
		if len(details) == 0 {
			continue
		}
		var lane workflows.LaneProgress
		if err := p.decode(details[0], &lane); err != nil {
			return o, err
		}
		if !slices.Contains(left, lane.Lane) {
			lanes = append(lanes, lane)
		}
	}
	if d.GetWorkflowExtendedInfo().GetCancelRequested() {
		switch o.Status {
		case openai.Validating, openai.InProgress:
			o.Status = openai.Cancelling
		case openai.Failed, openai.Finalizing, openai.Completed, openai.Expired, openai.Cancelling, openai.Cancelled:
		}
	}
	return o.Watch(lanes), nil
}

// memo reads the object that the workflow has published last.
func (p payloads) memo(d *workflowservice.DescribeWorkflowExecutionResponse) (batch.Object, error) {
	var o batch.Object
	payload, ok := d.GetWorkflowExecutionInfo().GetMemo().GetFields()[workflows.MemoBatch]
	if !ok { // a workflow of that name, but not one of ours
		return o, store.ErrNotFound
	}
	return o, p.decode(payload, &o)
}
