package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// Every timeout and retry policy of this project's workflows.
const (
	// TaskTimeout is how long a worker may take to decide. It bounds how long a
	// decision waits for a worker that was killed while it made one.
	TaskTimeout = 5 * time.Second

	// heartbeat is how long an activity may be silent before it is given to
	// another worker. Every activity has it, short ones too: without it, one
	// whose worker was killed would wait for its limit.
	heartbeat = 6 * time.Second

	laneLimit   = 365 * 24 * time.Hour
	planLimit   = 24 * time.Hour
	finishLimit = time.Hour
	tidyLimit   = 6 * time.Hour

	// drainLimit is how long calls in flight may go on once a batch has been
	// cancelled or has expired. OpenAI's batches are cancelling for as long.
	drainLimit = 10 * time.Minute

	// leasesPerRun bounds the updates of one run of the workflow; Temporal
	// refuses more than 2,000.
	leasesPerRun = 1500
)

// Every policy retries without end: what activities do can be repeated, and a
// store or a worker that is away comes back.
var (
	laneOptions = workflow.ActivityOptions{
		StartToCloseTimeout: laneLimit,
		HeartbeatTimeout:    heartbeat,
		WaitForCancellation: true, // a cancelled lane still has results to report
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: 50 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 5 * time.Second,
		},
	}
	planOptions = workflow.ActivityOptions{
		StartToCloseTimeout: planLimit,
		HeartbeatTimeout:    heartbeat,
		RetryPolicy:         patientRetries,
	}
	finishOptions = workflow.ActivityOptions{
		StartToCloseTimeout: finishLimit,
		HeartbeatTimeout:    heartbeat,
		RetryPolicy:         patientRetries,
	}
	tidyOptions = workflow.ActivityOptions{
		StartToCloseTimeout: tidyLimit,
		HeartbeatTimeout:    heartbeat,
		RetryPolicy:         patientRetries,
	}
	patientRetries = &temporal.RetryPolicy{
		InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 10 * time.Second,
	}
)
