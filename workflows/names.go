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

// NameLane is the type of the activities whose heartbeats are LaneProgress.
const NameLane = activities.NameWork

// LaneProgress is the heartbeat of a running lane.
type LaneProgress = batch.Progress

// Run names a batch and what it keeps in the store.
type Run = activities.Run
