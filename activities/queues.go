package activities

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/headrace/headrace/internal/nudge"
	"github.com/headrace/headrace/internal/queue"
)

// Queues asks the workflows that keep queues. It implements limit.Leaser.
type Queues struct {
	client client.Client
	nudges *nudge.Board
	worker string
	asked  atomic.Int64
}

// NewQueues returns what the process named worker asks with. Nudges come to it
// over the board.
func NewQueues(c client.Client, nudges *nudge.Board, worker string) *Queues {
	return &Queues{client: c, nudges: nudges, worker: worker}
}

// Lease implements limit.Leaser. The first to ask for a queue starts its workflow.
func (q *Queues) Lease(ctx context.Context, name string, r queue.Request) (queue.Grant, error) {
	var grant queue.Grant
	if r.Leaving { // needs no answer, and there may be no worker left to give one
		return grant, q.client.SignalWorkflow(ctx, QueueID(name), "", SignalLeave, r)
	}
	update := client.UpdateWorkflowOptions{
		WorkflowID: QueueID(name), UpdateName: UpdateGrant, UpdateID: fmt.Sprintf("%s-%d", q.worker, q.asked.Add(1)),
		Args: []any{r}, WaitForStage: client.WorkflowUpdateStageCompleted,
	}
	handle, err := q.ask(ctx, name, r.Lease != 0, update)
	if err == nil {
		err = handle.Get(ctx, &grant)
	}
	if err != nil {
		return grant, fmt.Errorf("lease of queue %s: %w", name, err)
	}
	return grant, nil
}

// ask sends an update. A queue that is thought to run costs less to ask.
func (q *Queues) ask(
	ctx context.Context, name string, runs bool, update client.UpdateWorkflowOptions,
) (client.WorkflowUpdateHandle, error) {
	if runs {
		handle, err := q.client.UpdateWorkflow(ctx, update)
		if _, gone := errors.AsType[*serviceerror.NotFound](err); !gone {
			return handle, err
		}
	}
	return q.client.UpdateWithStartWorkflow(ctx, client.UpdateWithStartWorkflowOptions{
		StartWorkflowOperation: q.client.NewWithStartWorkflowOperation(client.StartWorkflowOptions{
			ID: QueueID(name), TaskQueue: TaskQueue, WorkflowTaskTimeout: QueueTaskTimeout,
			WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		}, NameQueue, QueueInput{Name: name}),
		UpdateOptions: update,
	})
}

// Nudges implements limit.Leaser.
func (q *Queues) Nudges(name string) (nudges <-chan struct{}, stop func()) {
	return q.nudges.Listen(QueueID(name))
}
