package runner

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/headrace/headrace/internal/record"
	"github.com/headrace/headrace/internal/task"
)

// Run is the tasks of one part that are under way in this process.
type Run struct {
	runner *Runner
	part   task.Part

	started chan struct{} // closed when the fields below are set
	err     error         // why it could not be loaded
	created task.Millis
	page    *record.Page
	jobs    map[int]*job

	// starting ends when no more calls are to be started.
	starting context.Context //nolint:containedctx // the run's life
	stop     context.CancelFunc
	done     chan struct{} // closed when nothing is under way any more

	mu       sync.Mutex
	open     int // tasks that are neither kept nor handed back
	guard    func(context.Context) error
	attached int
	orphan   *time.Timer
	report   task.Report
}

func newRun(r *Runner, part task.Part) *Run {
	run := &Run{runner: r, part: part, started: make(chan struct{}), done: make(chan struct{}), jobs: map[int]*job{}}
	run.starting, run.stop = context.WithCancel(r.ctx)
	if r.stopped {
		run.stop()
	}
	return run
}

// load finds out what is to be done: what has a result needs no call.
func (r *Run) load(ctx context.Context, w task.Work) error {
	items, err := r.items(ctx, w)
	if err != nil {
		return err
	}
	kept, next, err := record.Load(ctx, r.runner.o.Store, r.part)
	if err != nil {
		return err
	}
	r.created = w.Created
	r.page = r.runner.journal.Open(r.part, next, r.kept)
	earlier := map[int]task.Again{}
	for _, again := range w.Earlier {
		earlier[again.N] = again
	}
	for _, item := range items {
		j := newJob(r, item, earlier[item.N]) //nolint:contextcheck // tasks outlive whoever begins them
		if result, ok := kept[item.N]; ok {
			j.result = &result
		}
		r.jobs[item.N] = j
	}
	return nil
}

// items are the tasks that are to be run: those that came along, or those of
// the group's object in the store.
func (r *Run) items(ctx context.Context, w task.Work) ([]task.Item, error) {
	if len(w.Items) > 0 {
		return w.Items, nil
	}
	specs, err := record.Input(ctx, r.runner.o.Store, w.Part)
	if err != nil {
		return nil, err
	}
	var items []task.Item
	for i, spec := range specs {
		n := w.Part.Number*task.PartSize + i
		if len(w.Only) == 0 || slices.Contains(w.Only, n) {
			items = append(items, task.Item{N: n, Spec: spec})
		}
	}
	return items, nil
}

// failed ends a run that could not be loaded.
func (r *Run) failed(err error) {
	r.err = err
	r.stop()
	close(r.started)
	close(r.done)
}

// start starts every task.
func (r *Run) start(w task.Work) {
	r.open = len(r.jobs) + 1
	r.page.Expect(len(r.jobs))
	close(r.started)
	r.Cancel(w.Cancel)
	for _, item := range r.jobs {
		if item.result != nil {
			r.page.Expect(-1)
			go r.kept(*item.result)
		} else {
			go item.run()
		}
	}
	r.settled(nil) // the one too many, without which it might have ended above
}

// kept is told of each result when it is in the store.
func (r *Run) kept(result record.Result) {
	o, err := result.Object()
	if err != nil { // nobody will be able to read it
		r.settled(nil)
		return
	}
	if j := r.jobs[result.N]; j != nil {
		j.end(&o)
		if j.result == nil && r.runner.o.Ended != nil {
			r.runner.o.Ended(&o)
		}
	}
	r.runner.o.Hub.Tell(&o)
	count := func(report *task.Report) {
		switch o.Status {
		case task.Failed:
			report.Failed++
		case task.Cancelled:
			report.Cancelled++
		case task.Completed, task.Queued, task.InProgress:
		}
	}
	if o.Webhook == nil || r.runner.o.Notify == nil {
		r.settled(count)
		return
	}
	go func() {
		if r.runner.o.Notify(r.runner.ctx, r.part.Project, o) != nil {
			count = unfinished // whoever takes over notifies
		}
		r.settled(count)
	}()
}

// settled books one task as no longer under way here.
func (r *Run) settled(book func(*task.Report)) {
	r.mu.Lock()
	if book != nil {
		book(&r.report)
	}
	r.open--
	over := r.open == 0
	r.mu.Unlock()
	if over {
		r.stop()
		r.runner.forget(r)
		close(r.done)
	}
}

func unfinished(report *task.Report) { report.Unfinished = true }

// Done is closed when nothing is under way any more.
func (r *Run) Done() <-chan struct{} { return r.done }

// Report says what came of the run. Wait for Done first.
func (r *Run) Report() task.Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.report
}

// Cancel cancels tasks of the run. It is no error if they are not in it.
func (r *Run) Cancel(numbers []int) {
	<-r.started
	for _, n := range numbers {
		if j := r.jobs[n]; j != nil {
			j.cancel(errCancelled)
		}
	}
}

// Progress tells of the tasks that are under way and of which there is
// something to tell.
func (r *Run) Progress() []task.Progress {
	var all []task.Progress
	for n, j := range r.jobs {
		if p, ok := j.progress(); ok {
			p.N = n
			all = append(all, p)
		}
	}
	return all
}

// object returns a task of the run as it is.
func (r *Run) object(n int) (task.Object, bool) {
	if j := r.job(n); j != nil {
		return j.object(), true
	}
	return task.Object{}, false
}

// spec returns a task of the run as it was asked for.
func (r *Run) spec(n int) (task.Spec, bool) {
	if j := r.job(n); j != nil {
		return j.spec, true
	}
	return task.Spec{}, false
}

// job returns a job of the run, nil if it is not known here, or not yet.
func (r *Run) job(n int) *job {
	select {
	case <-r.started:
	default:
		return nil
	}
	if r.err != nil {
		return nil
	}
	return r.jobs[n]
}

// Guard has calls wait for g before they start, nil for nothing. Whoever waits
// for the run knows whether it is still his.
func (r *Run) Guard(g func(context.Context) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.guard = g
}

// await waits until a call may start as far as whoever waits for the run knows.
func (r *Run) await(ctx context.Context) error {
	r.mu.Lock()
	guard := r.guard
	r.mu.Unlock()
	if guard == nil {
		return ctx.Err()
	}
	return guard(ctx)
}

// attach says that somebody waits for the run.
func (r *Run) attach() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.attached++
	if r.orphan != nil {
		r.orphan.Stop()
		r.orphan = nil
	}
}

// Leave says that one who waited does so no more. A run that nobody waits for
// starts no more calls after a while.
func (r *Run) Leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.attached--; r.attached == 0 && r.open > 0 {
		r.orphan = time.AfterFunc(orphanAfter, r.stop)
	}
}
