// Package worker hosts the workflows and the activities. It is wiring only:
// what they do is decided elsewhere.
package worker

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/version"
	"github.com/headrace/headrace/workflows"
)

// Worker takes work from Temporal until it is stopped.
type Worker struct {
	activities *activities.Activities
	worker     worker.Worker
	// host takes what is meant for this process alone.
	host worker.Worker
	// hooks delivers webhooks, so that receivers which hang hold nothing else
	// up.
	hooks worker.Worker
}

// stopMargin is what activities get beyond the grace of their calls to write
// down what they have.
const stopMargin = 3 * time.Second

// deployment names all workers of headrace to Temporal.
const deployment = "headrace"

// hostSlots bounds the groups of tasks that this process waits for. Each keeps
// its tasks in memory.
const hostSlots = 4096

// hookSlots bounds the deliveries of webhooks under way at once in this process.
const hookSlots = 256

// NewHost returns a name for this process, and so for the task queue that nobody
// else listens to. No two are the same.
func NewHost() string { return openai.NewID(workflows.TaskQueue + "-") }

// New returns a worker that has not begun. Its activities stop as a.StopGrace
// says.
func New(c client.Client, a *activities.Activities) *Worker {
	// Otherwise the SDK takes a checksum of the whole binary, which is large: a
	// third of a second at every start. It asks for it whatever the build id.
	worker.SetBinaryChecksum(version.String())
	w := worker.New(c, workflows.TaskQueue, worker.Options{
		WorkerStopTimeout: a.StopGrace + stopMargin,
		DeploymentOptions: worker.DeploymentOptions{
			Version: worker.WorkerDeploymentVersion{DeploymentName: deployment, BuildID: version.String()},
		},
		// A decision that went to a worker which was killed waits this long
		// before another may take it.
		StickyScheduleToStartTimeout: time.Second,
	})
	register(w, a)
	host := worker.New(c, a.Host, worker.Options{
		WorkerStopTimeout: a.StopGrace + stopMargin, DisableWorkflowWorker: true, MaxConcurrentActivityExecutionSize: hostSlots,
	})
	host.RegisterActivityWithOptions(a.Carry, activity.RegisterOptions{Name: activities.NameCarry})
	host.RegisterActivityWithOptions(a.Nudge, activity.RegisterOptions{Name: activities.NameNudge})
	hooks := worker.New(c, activities.WebhookQueue, worker.Options{
		WorkerStopTimeout: stopMargin, DisableWorkflowWorker: true, MaxConcurrentActivityExecutionSize: hookSlots,
	})
	hooks.RegisterActivityWithOptions(a.Deliver, activity.RegisterOptions{Name: activities.NameDeliver})
	return &Worker{activities: a, worker: w, host: host, hooks: hooks}
}

// register says what the worker can do.
func register(w worker.Registry, a *activities.Activities) {
	w.RegisterWorkflowWithOptions(workflows.Batch, workflow.RegisterOptions{Name: workflows.NameBatch})
	w.RegisterWorkflowWithOptions(workflows.Webhook, workflow.RegisterOptions{Name: workflows.NameWebhook})
	w.RegisterWorkflowWithOptions(workflows.Task, workflow.RegisterOptions{Name: workflows.NameTask})
	w.RegisterWorkflowWithOptions(workflows.Queue, workflow.RegisterOptions{Name: workflows.NameQueue})
	w.RegisterWorkflowWithOptions(workflows.Key, workflow.RegisterOptions{Name: workflows.NameKey})
	for name, method := range map[string]any{
		activities.NamePlan:        a.Plan,
		activities.NameWork:        a.Work,
		activities.NameSaveCommits: a.SaveCommits,
		activities.NameFinish:      a.Finish,
		activities.NameTidy:        a.Tidy,
		activities.NameBegin:       a.Begin,
		activities.NameCarry:       a.Carry,

		activities.NameNotify:       a.Notify,
		activities.NameSaveDelivery: a.SaveDelivery,
	} {
		w.RegisterActivityWithOptions(method, activity.RegisterOptions{Name: name})
	}
}

// Start begins to take work.
func (w *Worker) Start() error {
	// A task that is begun here must find somebody who waits for it: host is
	// the first.
	parts := []worker.Worker{w.host, w.hooks, w.worker}
	for i, part := range parts {
		if err := part.Start(); err != nil {
			for _, begun := range parts[:i] {
				begun.Stop()
			}
			return fmt.Errorf("start worker: %w", err)
		}
	}
	return nil
}

// Stop stops taking work at once, gives running activities their grace, and
// returns when they have ended. What they did not finish goes to other workers.
func (w *Worker) Stop() {
	w.activities.Runner.Stop()
	var all sync.WaitGroup
	all.Go(w.worker.Stop)
	all.Go(w.host.Stop)
	all.Go(w.hooks.Stop)
	all.Wait()
}

// Logger makes the SDK log through l.
func Logger(l *slog.Logger) sdklog.Logger { return sdklog.NewStructuredLogger(l) }
