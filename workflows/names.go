package workflows

import (
	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/internal/batch"
)

// What goes over the wire to and from Temporal, beside the names of activities.
const (
	// TaskQueue is where all workflows and activities wait for workers.
	TaskQueue = activities.TaskQueue

	// NameBatch is the type of the workflow Batch. Its id is the batch's.
	NameBatch = "Batch"
	// SignalAbort makes a cancelled batch cut its calls off. Send it before the
	// cancellation, or after.
	SignalAbort = "abort"
	// SignalCommand takes a batch.Command. Commands are obeyed in the order in
	// which they come.
	SignalCommand = "command"
	// MemoBatch is the key of the memo that holds the batch's object. What
	// running lanes have done is not in it: see LaneProgress.
	MemoBatch = "batch"
	// MemoLeft is the key of the memo that holds the ids of lanes which have
	// left: what they have done is in the batch's object, though their
	// activities may take a moment to end.
	MemoLeft = "left_lanes"

	// NameKey is the type of the workflow Key. Its id is PrefixKey and what is
	// derived from the idempotency key.
	NameKey   = "Key"
	PrefixKey = "key_"
	// MemoClaim is the key of the memo that holds the Claim.
	MemoClaim = "claim"
)

// Of tasks.
const (
	// NameTask is the type of the workflow Task. Its id is task.WorkflowID.
	NameTask = "Task"
	// SignalCancel takes the numbers of tasks to cancel.
	SignalCancel = "cancel"
	// MemoProject is the key of the memo that names the project of a group.
	MemoProject = "project"
	// MemoWaiting is the key of the memo that holds the tasks which wait until
	// their time: a list of task.Again.
	MemoWaiting = "waiting"
	// NameCarry is the type of the activities whose heartbeats are lists of
	// task.Progress.
	NameCarry = activities.NameCarry
)

// Of queues.
const (
	// NameQueue is the type of the workflow Queue. Its id is QueueID.
	NameQueue = activities.NameQueue
	// SignalSet takes a queue.Change.
	SignalSet = "set"
	// QueryStatus answers with a queue.Status.
	QueryStatus = "status"
	// MemoSettings is the key of the memo that holds the queue.Settings, with or
	// without a worker at hand.
	MemoSettings = "settings"
)

// QueueID is the id of the workflow that keeps a queue.
func QueueID(name string) string { return activities.QueueID(name) }

// QueueInput is the input of Queue.
type QueueInput = activities.QueueInput

// Of webhooks.
const (
	// NameWebhook is the type of the workflow Webhook. Its id is that of
	// webhook.Delivery.
	NameWebhook = activities.NameWebhook
	// MemoDelivery is the key of the memo that holds the delivery.
	MemoDelivery = activities.MemoDelivery
)

// NameLane is the type of the activities whose heartbeats are LaneProgress.
const NameLane = activities.NameWork

// NameDeliver is the type of the activity whose heartbeat is a DeliveryLog.
const NameDeliver = activities.NameDeliver

// DeliveryLog is the heartbeat of the delivery of a webhook.
type DeliveryLog = activities.Attempts

// LaneProgress is the heartbeat of a running lane.
type LaneProgress = batch.Progress

// Run names a batch and what it keeps in the store.
type Run = activities.Run

// Retry names the batch whose requests without an answer another one makes.
type Retry = activities.Retry
