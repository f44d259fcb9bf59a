package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/internal/batch"
)

// Every timeout and retry policy of this project's workflows.
const (
	// TaskTimeout is how long a worker may take to decide. It bounds how long a
	// decision waits for a worker that was killed while it made one.
	TaskTimeout = 5 * time.Second
	// QueueTaskTimeout is that of the workflows of queues.
	QueueTaskTimeout = activities.QueueTaskTimeout

	// heartbeat is how long an activity may be silent before it is given to
	// another worker. Every activity has it, short ones too: without it, one
	// whose worker was killed would wait for its limit.
	heartbeat = 6 * time.Second

	laneLimit   = 365 * 24 * time.Hour
	planLimit   = 24 * time.Hour
	finishLimit = time.Hour
	tidyLimit   = 6 * time.Hour

	// saveLimit bounds a write of one small object, notifyLimit the start of a
	// workflow.
	saveLimit   = 10 * time.Minute
	notifyLimit = 10 * time.Minute

	// deliverTimeout bounds one delivery of a webhook, and deliverLimit the
	// time after which none is begun any more. OpenAI's are given up after as
	// long.
	deliverTimeout = 15 * time.Second
	deliverLimit   = 72 * time.Hour

	// drainLimit is how long calls in flight may go on once a batch has been
	// cancelled or has expired. OpenAI's batches are cancelling for as long.
	drainLimit = 10 * time.Minute

	// requestsPerRun bounds the leases and commands of one run of the workflow.
	// Leases are updates, of which Temporal refuses more than 2,000.
	requestsPerRun = 1500
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
	// beginOptions: Begin never fails and returns after seconds.
	beginOptions = workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: time.Minute,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
	}
	// carryOptions let any worker carry tasks on, as often as it takes.
	carryOptions = workflow.ActivityOptions{
		StartToCloseTimeout: laneLimit,
		HeartbeatTimeout:    heartbeat,
		WaitForCancellation: true,
		RetryPolicy:         laneOptions.RetryPolicy,
	}
	// hostOptions wait for tasks where they are under way. If nobody listens
	// there any more, any worker may take them over.
	hostOptions = workflow.ActivityOptions{
		ScheduleToStartTimeout: heartbeat,
		StartToCloseTimeout:    laneLimit,
		HeartbeatTimeout:       heartbeat,
		WaitForCancellation:    true,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
	}
	notifyOptions = workflow.ActivityOptions{
		StartToCloseTimeout: notifyLimit,
		HeartbeatTimeout:    heartbeat,
		RetryPolicy:         patientRetries,
	}
	// saveNowOptions are those of a first try, within a decision, which must not
	// take long.
	saveNowOptions = workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: TaskTimeout / 5,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
	}
	saveOptions = workflow.ActivityOptions{
		StartToCloseTimeout: saveLimit,
		HeartbeatTimeout:    heartbeat,
		RetryPolicy:         patientRetries,
	}
	// An attempt that fails says itself when the next one is due, after
	// deliverPauses; the policy is for those whose worker has died.
	deliverOptions = workflow.ActivityOptions{
		TaskQueue:           activities.WebhookQueue,
		StartToCloseTimeout: 4 * deliverTimeout,
		HeartbeatTimeout:    heartbeat,
		RetryPolicy:         patientRetries,
	}
	// deliverPauses are the times between deliveries of a webhook that are not
	// accepted, before jitter. The last one is repeated.
	deliverPauses = []batch.Duration{
		batch.Duration(5 * time.Second), batch.Duration(30 * time.Second), batch.Duration(2 * time.Minute), batch.Duration(10 * time.Minute),
		batch.Duration(30 * time.Minute), batch.Duration(time.Hour), batch.Duration(2 * time.Hour),
	}
	// nudgeOptions are for one process: if it does not listen, nobody need. Set
	// the task queue.
	nudgeOptions = workflow.ActivityOptions{
		ScheduleToStartTimeout: 3 * time.Second,
		StartToCloseTimeout:    3 * time.Second,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
	}
	patientRetries = &temporal.RetryPolicy{
		InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 10 * time.Second,
	}
)
