package runner

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/dispatch"
	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/record"
	"github.com/headrace/headrace/internal/streamlog"
	"github.com/headrace/headrace/internal/task"
)

// Why a job's context ends.
var (
	errCancelled = errors.New("task cancelled")
	errDeadline  = errors.New("task deadline exceeded")
)

// attemptsKept is how many attempts a task remembers: the latest.
const attemptsKept = 20

// job is one task on its way.
type job struct {
	parent *Run
	n      int
	spec   task.Spec
	model  string         // that the body names
	result *record.Result // of an earlier worker

	arrived time.Time

	ctx    context.Context //nolint:containedctx // the task's life
	cancel context.CancelCauseFunc

	// Of a task whose answer is a stream, for its own goroutine alone.
	log    *streamlog.Log // nil while it is not open
	logged bool           // there are frames in the log since the last restart

	permitted atomic.Bool // it has a place among the calls of this process

	// Of the calls of one attempt, for the task's own goroutine alone.
	noted    []*llm.Error // those that are among the attempts
	replayed bool         // the answer was not the provider's but of an earlier worker

	mu       sync.Mutex
	started  int64 // unix seconds, 0 before the first call
	calling  bool
	tries    int // attempts that count
	attempts []task.Attempt
	waiting  *batch.WaitingOn
	final    *task.Object
}

func newJob(r *Run, item task.Item, earlier task.Again) *job {
	j := &job{
		parent: r, n: item.N, spec: item.Spec, arrived: time.Now(),
		started: earlier.StartedAt, tries: earlier.Tries, attempts: slices.Clone(earlier.Attempts),
	}
	if !j.spec.HTTP() {
		j.model = j.spec.Model()
	}
	ctx := r.runner.ctx
	if resume := r.runner.o.Resume; resume != nil && j.spec.Trace != "" {
		ctx = resume(ctx, j.spec.Trace)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	j.ctx, j.cancel = ctx, cancel
	if deadline := item.Deadline.Time(); !deadline.IsZero() {
		timer := time.AfterFunc(time.Until(deadline), func() { cancel(errDeadline) })
		context.AfterFunc(ctx, func() { timer.Stop() })
	}
	return j
}

// run makes calls until one settles the task, or until it is handed back.
func (j *job) run() {
	if !j.due() {
		return
	}
	if j.shares() {
		settled, land := j.share()
		if settled {
			return
		}
		// The flight lands when the result is kept, so that those who wait for it
		// find it.
		context.AfterFunc(j.ctx, land)
	}
	for {
		a, begun, err := j.attempt()
		if _, failed := errors.AsType[*llm.Error](err); begun.IsZero() && !failed {
			j.notBegun(err)
			return
		}
		if j.settle(a, err, begun) {
			return
		}
	}
}

// due waits until the task may begin. It returns false when the task has been
// settled, handed back or left to others instead.
func (j *job) due() bool {
	early := time.Until(j.spec.NotBefore.Time())
	switch {
	case j.ctx.Err() != nil:
		j.stopWaiting()
		return false
	case early > patience:
		j.handBack(j.spec.NotBefore.Time(), nil)
		return false
	default:
		return j.pause(max(early, 0))
	}
}

// attempt makes one call as soon as it may, or several if it falls back. begun is
// when the last one started, zero if none did or if it is noted: then err says why it
// ended.
func (j *job) attempt() (a llm.Response, begun time.Time, err error) {
	r := j.parent.runner
	starting, stop := j.untilCall()
	defer stop()
	r.o.Hub.Pressure.Yield(starting, j.arrived.Add(longestYield))
	j.noted, j.replayed = nil, false
	a, err = r.o.Dispatcher.Do(j.ctx, starting, &dispatch.Call{
		Ticket: j.ticket(), Fallback: j.spec.Fallback, Elsewhere: j.spec.HTTP(), Attempt: j.tries,
		Request: llm.Request{
			Endpoint: openai.Endpoint(j.spec.URL), Model: j.model, Body: []byte(j.spec.Body), Timeout: j.spec.CallTimeout(),
		},
		Ready: j.ready,
		Began: func() {
			begun = time.Now()
			j.begin()
		},
		Failed: func(to batch.Target, at time.Time, e *llm.Error) {
			begun = time.Time{}
			j.noted = append(j.noted, e)
			j.note(at, to, e)
		},
		Make: j.call,
	})
	if err == nil {
		j.permitted.Store(true)
	}
	return a, begun, err
}

// notBegun ends a task whose call could not be started.
func (j *job) notBegun(err error) {
	if closed, ok := errors.AsType[*limit.ClosedError](err); ok && j.ctx.Err() == nil {
		j.waitForProvider(closed.State)
		return
	}
	j.stopWaiting()
}

// ticket says when the task's calls may be made.
func (j *job) ticket() limit.Ticket {
	t := limit.Ticket{
		Queue: j.spec.Queue, Project: j.parent.part.Project, Priority: j.spec.Priority,
		Accepted: int64(j.parent.created), Order: int64(j.n), Bounded: true,
	}
	if !j.spec.HTTP() {
		t.Model, t.Patience = j.model, patience
	}
	return t
}

// resolved is the ticket with the provider and the queue that the task's calls go to
// at first.
func (j *job) resolved() limit.Ticket {
	if j.spec.HTTP() {
		return j.ticket()
	}
	return j.parent.runner.o.Dispatcher.Resolve(j.ticket())
}

// release gives the task's permit back, if it has one. A task whose call has
// brought a result keeps its permit until that is kept: so a crash repeats no
// more calls than were allowed in flight, and a store that is slow or away holds
// calls back.
func (j *job) release() {
	if j.permitted.Swap(false) {
		j.parent.runner.o.Dispatcher.Gate().Release()
	}
}

// ready waits until calls may be made as far as the store and those who wait for
// the task are concerned.
func (j *job) ready(ctx context.Context) error {
	if err := j.parent.runner.journal.Await(ctx); err != nil {
		return err
	}
	return j.parent.await(ctx)
}

// untilCall is the context of whatever comes before a call: it ends with the
// task, and when no more calls are to be started.
func (j *job) untilCall() (context.Context, func()) {
	ctx, cancel := context.WithCancel(j.ctx)
	stop := context.AfterFunc(j.parent.starting, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// stopWaiting ends a task whose waiting was ended.
func (j *job) stopWaiting() {
	if j.ctx.Err() == nil || !j.gaveUp() {
		j.leaveToOthers()
	}
}

// leaveToOthers ends a task without an outcome: somebody else will make its
// call.
func (j *job) leaveToOthers() {
	j.release()
	j.closeLog(false)
	j.parent.page.Expect(-1)
	j.cancel(nil)
	j.parent.settled(unfinished)
}

// gaveUp settles a task that was cancelled or whose deadline has passed. It
// returns false if it was neither.
func (j *job) gaveUp() bool {
	switch cause := context.Cause(j.ctx); {
	case errors.Is(cause, errCancelled):
		j.keep(task.Cancelled, nil, &task.Error{Code: task.CodeCancelled, Message: "The task was cancelled."}, nil)
	case errors.Is(cause, errDeadline):
		j.keep(task.Failed, nil, &task.Error{Code: task.CodeDeadline, Message: "The deadline of the task passed before it had an answer."}, nil)
	default:
		return false
	}
	return true
}

// waitForProvider hands a task back until the provider can be used.
func (j *job) waitForProvider(state limit.State) {
	until := time.Now().Add(min(max(comeBack, time.Since(state.Since)/4), longestAway))
	if state.Until.After(time.Now()) {
		until = state.Until
	}
	j.handBack(until, state.WaitingOn())
}

// handBack ends a task until its time has come.
func (j *job) handBack(at time.Time, waiting *batch.WaitingOn) {
	j.release()
	if deadline := j.spec.Deadline.Time(); !deadline.IsZero() && deadline.Before(at) {
		at = deadline
	}
	j.mu.Lock()
	again := task.Again{
		N: j.n, At: task.MillisOf(at), StartedAt: j.started, Tries: j.tries, Attempts: j.attempts, WaitingOn: waiting,
	}
	j.mu.Unlock()
	j.closeLog(false)
	j.parent.page.Expect(-1)
	j.cancel(nil)
	j.parent.settled(func(report *task.Report) { report.Again = append(report.Again, again) })
}

// begin notes that a call starts.
func (j *job) begin() {
	j.mu.Lock()
	if j.started == 0 {
		j.started = time.Now().Unix()
	}
	j.calling, j.waiting = true, nil
	j.mu.Unlock()
	j.tell()
}

// end notes how the task ended.
func (j *job) end(o *task.Object) {
	j.release()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.final = o
	j.cancel(nil)
}

// tell lets watchers know how the task stands.
func (j *job) tell() {
	if j.parent.runner.o.Hub.Watched(j.id().String()) {
		o := j.object()
		j.parent.runner.o.Hub.Tell(&o)
	}
}

func (j *job) id() task.ID { return j.parent.part.ID(j.n) }

// object is the task as it is.
func (j *job) object() task.Object {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.final != nil {
		return *j.final
	}
	o := task.New(j.id(), j.spec, j.parent.created)
	o.Queue = cmp.Or(j.resolved().Queue, o.Queue)
	return o.During(task.Progress{StartedAt: j.started, Attempts: slices.Clone(j.attempts), WaitingOn: j.waitingOn()})
}

// waitingOn says what holds the task up, with mu held.
func (j *job) waitingOn() *batch.WaitingOn {
	if j.calling {
		return nil
	}
	if since, err := j.parent.runner.journal.Trouble(); err != nil {
		return &batch.WaitingOn{Reason: batch.StorageFailing, Message: err.Error(), Since: since.Unix()}
	}
	gate, t := j.parent.runner.o.Dispatcher.Gate(), j.resolved()
	w := gate.WaitingOn(t.Queue, t.Provider)
	if w == nil {
		return j.waiting
	}
	if at := gate.Position(t); at > 0 {
		w.Position = &at
	}
	return w
}

// progress tells how the task stands, false if there is nothing to tell.
func (j *job) progress() (task.Progress, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	waiting := j.waitingOn()
	return task.Progress{StartedAt: j.started, Tries: j.tries, Attempts: slices.Clone(j.attempts), WaitingOn: waiting},
		j.final == nil && (j.started > 0 || waiting != nil)
}

// note adds a call to the attempts. to is whom it went to, failed what it came to if
// that is no success.
func (j *job) note(begun time.Time, to batch.Target, failed *llm.Error) {
	a := task.Attempt{StartedAt: begun.Unix(), DurationMS: time.Since(begun).Milliseconds(), Target: j.told(to)}
	if failed != nil {
		a.Error = &task.AttemptError{
			Kind: failed.Kind.String(), StatusCode: failed.Status, Code: failed.Code, Message: shorten(failed.Message),
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.calling = false
	j.attempts = append(j.attempts, a)
	if len(j.attempts) > attemptsKept {
		j.attempts = slices.Clone(j.attempts[len(j.attempts)-attemptsKept:])
	}
}

// noteFailure notes what an attempt came to, and how long the task waits before the
// next one.
func (j *job) noteFailure(begun time.Time, failed *llm.Error, wait time.Duration) {
	if !slices.Contains(j.noted, failed) {
		j.note(begun, batch.Target{}, failed)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.attempts[len(j.attempts)-1].WaitMS = wait.Milliseconds()
	if failed.Kind == llm.Transient && !failed.Uncounted {
		j.tries++
	}
}

// told is a target that is worth telling: one of several providers, or one that was
// fallen back to.
func (j *job) told(to batch.Target) batch.Target {
	d, first := j.parent.runner.o.Dispatcher, j.resolved()
	if d.Several() || to.Provider != first.Provider || to.Model != j.model {
		return to
	}
	return batch.Target{}
}

// shorten bounds the messages of attempts: the last one's answer is kept whole.
func shorten(message string) string {
	const longest = 500
	if runes := []rune(message); len(runes) > longest {
		return string(runes[:longest]) + "…"
	}
	return message
}
