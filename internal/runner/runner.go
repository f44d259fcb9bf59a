package runner

import (
	"context"
	"sync"
	"time"

	"github.com/headrace/headrace/internal/dispatch"
	"github.com/headrace/headrace/internal/live"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/record"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/streamlog"
	"github.com/headrace/headrace/internal/task"
)

// Options configures a Runner.
type Options struct {
	Store *store.Store
	// Dispatcher makes the calls. Those whose answers are streams are kept in Logs.
	Dispatcher *dispatch.Dispatcher
	Logs       *streamlog.Logs
	// HTTP makes the calls of HTTP tasks; nil refuses them.
	HTTP HTTPCaller
	// Hub is told what becomes of tasks; nil for nobody.
	Hub *live.Hub
	// Notify is called for each task with a webhook once its result is kept. It
	// returns when the delivery is somebody's business, or with the error of ctx.
	Notify  func(ctx context.Context, project string, o task.Object) error
	Backoff llm.Backoff
	// Ended is told of each task once its result is kept, Retried of each call that
	// failed and is made again. Neither may block; nil for nobody.
	Ended   func(o *task.Object)
	Retried func(llm.Kind)
	// Resume makes the calls of a task part of the trace that its request was part
	// of, see task.Spec.Trace; nil for no traces.
	Resume func(ctx context.Context, trace string) context.Context
}

// DefaultConcurrency is the most calls of tasks in flight in a worker that is not
// told otherwise, see limit.Options.
const DefaultConcurrency = 512

// Times of runs.
const (
	// patience is how long a task waits here for a provider or for its next
	// attempt. If it had to wait longer it is handed back.
	patience = 5 * time.Second
	// comeBack is when a task is tried again that waits for a provider of which
	// nobody can tell when it will be usable.
	comeBack = 20 * time.Second
	// longestAway bounds how long a task stays away that has waited for long
	// already: a quarter of that.
	longestAway = 5 * time.Minute
	// longestYield is how long a task holds back while many others wait to be
	// accepted.
	longestYield = 2 * time.Second
	// orphanAfter is how long a run goes on that nobody waits for. Whoever
	// waited may have lost it to another worker.
	orphanAfter = 5 * time.Second
)

// Runner runs tasks. It is safe for concurrent use.
type Runner struct {
	o       Options
	journal *record.Journal

	ctx    context.Context //nolint:containedctx // calls outlive the activity that began them
	cancel context.CancelFunc

	mu      sync.Mutex
	runs    map[task.Part]*Run
	flights map[string]chan struct{} // by question
	stopped bool
}

// New returns a runner that runs nothing yet. Stop it, then close it.
func New(o Options) *Runner {
	if o.Hub == nil {
		o.Hub = live.NewHub()
	}
	r := &Runner{
		o: o, journal: record.NewJournal(o.Store), runs: map[task.Part]*Run{},
		flights: map[string]chan struct{}{},
	}
	r.ctx, r.cancel = context.WithCancel(context.Background()) //nolint:forbidigo // Close ends it
	return r
}

// Stop starts no more calls and begins no more runs. Those under way report as
// unfinished once their calls in flight have ended and are kept. It may be
// called more than once.
func (r *Runner) Stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	for _, run := range r.runs {
		run.stop()
	}
}

// Close cuts off calls in flight and gives up what is not kept.
func (r *Runner) Close() {
	r.Stop()
	r.cancel()
	for _, run := range r.all() {
		<-run.done
	}
	r.journal.Close()
}

func (r *Runner) all() []*Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	runs := make([]*Run, 0, len(r.runs))
	for _, run := range r.runs {
		runs = append(runs, run)
	}
	return runs
}

// Begin begins to run tasks of a part, or joins the run of that part. Leave it
// in the end.
func (r *Runner) Begin(ctx context.Context, w task.Work) (*Run, error) {
	for {
		run, joined := r.join(w.Part)
		if !joined {
			if err := run.load(ctx, w); err != nil {
				r.forget(run)
				run.failed(err)
				return nil, err
			}
			run.start(w) //nolint:contextcheck // tasks outlive whoever begins them
			return run, nil
		}
		select {
		case <-run.started:
		case <-ctx.Done():
			run.Leave()
			return nil, ctx.Err()
		}
		if run.err == nil {
			run.Cancel(w.Cancel)
			return run, nil
		}
		run.Leave() // whoever began it could not load it: try ourselves
	}
}

// join returns the run of a part, a new one if there is none.
func (r *Runner) join(part task.Part) (run *Run, joined bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	run, joined = r.runs[part]
	if !joined {
		run = newRun(r, part)
		r.runs[part] = run
	}
	run.attach()
	return run, joined
}

// forget makes room for another run of the part.
func (r *Runner) forget(run *Run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.runs[run.part] == run {
		delete(r.runs, run.part)
	}
}

// Busy is the number of runs under way.
func (r *Runner) Busy() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.runs)
}

// Get returns a task as it is, if it is under way here.
func (r *Runner) Get(project string, id task.ID) (task.Object, bool) {
	if run := r.run(project, id); run != nil {
		return run.object(id.N)
	}
	return task.Object{}, false
}

// Spec returns a task as it was asked for, if it is under way here.
func (r *Runner) Spec(project string, id task.ID) (task.Spec, bool) {
	if run := r.run(project, id); run != nil {
		return run.spec(id.N)
	}
	return task.Spec{}, false
}

// Cancel cancels a task if it is under way here.
func (r *Runner) Cancel(project string, id task.ID) {
	if run := r.run(project, id); run != nil {
		run.Cancel([]int{id.N})
	}
}

// run returns the run that a task belongs to, nil if there is none here.
func (r *Runner) run(project string, id task.ID) *Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.runs[id.Part(project)]
}
