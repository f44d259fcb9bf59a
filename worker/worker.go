// Package worker hosts the workflows and the activities. It is wiring only:
// what they do is decided elsewhere.
package worker

import (
	"context"
	"errors"
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

	mu    sync.Mutex
	state error // why it takes no work; nil while it does

	watcher *watcher
	unwatch context.CancelFunc // nil before Start
	watched sync.WaitGroup
}

// stopMargin is what activities get beyond the grace of their calls to write
// down what they have.
const stopMargin = 3 * time.Second

// hostSlots bounds the groups of tasks that this process waits for. Each keeps
// its tasks in memory.
const hostSlots = 4096

// eagerActivities is how many activities of one decision the worker that makes it
// may take at once, without asking for them.
const eagerActivities = 1

// hookSlots bounds the deliveries of webhooks under way at once in this process.
const hookSlots = 256

// NewHost returns a name for this process, and so for the task queue that nobody
// else listens to. No two are the same.
func NewHost() string { return openai.NewID(workflows.TaskQueue + "-") }

// New returns a worker that has not begun. Its activities stop as a.StopGrace
// says.
func New(c client.Client, a *activities.Activities, o Options) *Worker {
	o = o.withDefaults()
	// Otherwise the SDK takes a checksum of the whole binary, which is large: a
	// third of a second at every start. It asks for it whatever the build id.
	worker.SetBinaryChecksum(version.String())
	all := &Worker{activities: a, state: errNotStarted, watcher: &watcher{o: o, client: c}}
	all.worker = worker.New(c, workflows.TaskQueue, worker.Options{
		WorkerStopTimeout: a.StopGrace + stopMargin, OnFatalError: all.fail,
		DeploymentOptions: o.deploymentOptions(),
		// Lanes that are opened together are for all workers, and not only for the
		// one that happens to decide.
		MaxEagerActivityReservationsPerWorkflowTask: new(eagerActivities),
		// A decision that went to a worker which was killed waits this long
		// before another may take it.
		StickyScheduleToStartTimeout: time.Second,
	})
	register(all.worker, a)
	all.host = worker.New(c, a.Host, worker.Options{
		WorkerStopTimeout: a.StopGrace + stopMargin, DisableWorkflowWorker: true, MaxConcurrentActivityExecutionSize: hostSlots,
		OnFatalError: all.fail,
	})
	all.host.RegisterActivityWithOptions(a.Carry, activity.RegisterOptions{Name: activities.NameCarry})
	all.host.RegisterActivityWithOptions(a.Nudge, activity.RegisterOptions{Name: activities.NameNudge})
	all.hooks = worker.New(c, activities.WebhookQueue, worker.Options{
		WorkerStopTimeout: stopMargin, DisableWorkflowWorker: true, MaxConcurrentActivityExecutionSize: hookSlots, OnFatalError: all.fail,
	})
	all.hooks.RegisterActivityWithOptions(a.Deliver, activity.RegisterOptions{Name: activities.NameDeliver})
	return all
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
	ctx, unwatch := context.WithCancel(context.Background()) //nolint:forbidigo // Stop ends it
	w.unwatch = unwatch
	w.watched.Go(func() { w.watcher.watch(ctx) })
	w.mu.Lock()
	defer w.mu.Unlock()
	if errors.Is(w.state, errNotStarted) {
		w.state = nil
	}
	return nil
}

// Why a worker takes no work.
var (
	errNotStarted = errors.New("has not started")
	errStopping   = errors.New("is stopping")
)

// fail notes an error after which the SDK takes no more work.
func (w *Worker) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state = fmt.Errorf("has given up: %w", err)
}

// Ready returns nil if the worker takes work, and otherwise why it does not: before
// Start, after Stop, and when the SDK has met an error that it cannot get over.
func (w *Worker) Ready(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}

// Stop stops taking work at once, gives running activities their grace, and
// returns when they have ended. What they did not finish goes to other workers.
func (w *Worker) Stop() {
	w.mu.Lock()
	w.state = errStopping
	w.mu.Unlock()
	if w.unwatch != nil {
		w.unwatch()
		w.watched.Wait()
	}
	w.activities.Runner.Stop()
	w.activities.Dispatcher.Gate().Drain()
	var all sync.WaitGroup
	all.Go(w.worker.Stop)
	all.Go(w.host.Stop)
	all.Go(w.hooks.Stop)
	all.Wait()
}

// Logger makes the SDK log through l.
func Logger(l *slog.Logger) sdklog.Logger { return sdklog.NewStructuredLogger(l) }
