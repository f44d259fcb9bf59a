package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/internal/queue"
)

// Queue keeps the books of one queue for as long as there is such a queue: it
// leases what the queue allows to the gates of workers, and has them ask again when
// that has changed.
func Queue(ctx workflow.Context, in QueueInput) error {
	q := newQueueRun(ctx, in)
	if err := q.listen(); err != nil {
		return err
	}
	return q.run()
}

// queueRun is one run of Queue.
type queueRun struct {
	ctx     workflow.Context
	in      QueueInput
	books   *queue.Allocator
	asked   int
	used    bool // somebody has asked, or set something
	nudging int
	changed bool // what run waits for may be different
}

// asksPerRun bounds the updates of one run; Temporal refuses more than 2,000.
const asksPerRun = 1500

func newQueueRun(ctx workflow.Context, in QueueInput) *queueRun {
	q := &queueRun{ctx: ctx, in: in, books: in.Books}
	if q.books == nil {
		q.books = queue.New(in.Name, queue.Settings{})
	}
	return q
}

// listen begins to take what comes from outside: requests of workers, changes of
// the settings, questions.
func (q *queueRun) listen() error {
	if err := workflow.SetUpdateHandler(q.ctx, activities.UpdateGrant, q.grant); err != nil {
		return err
	}
	if err := workflow.SetQueryHandler(q.ctx, QueryStatus, q.status); err != nil {
		return err
	}
	if q.in.Books != nil {
		q.publish()
	}
	workflow.Go(q.ctx, q.watch)
	workflow.Go(q.ctx, func(ctx workflow.Context) {
		changes := workflow.GetSignalChannel(ctx, SignalSet)
		for {
			var c queue.Change
			changes.Receive(ctx, &c)
			q.set(c)
		}
	})
	workflow.Go(q.ctx, func(ctx workflow.Context) {
		leaving := workflow.GetSignalChannel(ctx, activities.SignalLeave)
		for {
			var r queue.Request
			leaving.Receive(ctx, &r)
			q.books.Ask(q.now(), r)
			q.used, q.changed = true, true
		}
	})
	return nil
}

// grant answers a worker.
func (q *queueRun) grant(_ workflow.Context, r queue.Request) (queue.Grant, error) {
	q.asked++
	q.used, q.changed = true, true
	return q.books.Ask(q.now(), r), nil
}

// set changes the settings.
func (q *queueRun) set(c queue.Change) {
	q.books.Set(q.now(), c)
	q.used, q.changed = true, true
	q.publish()
}

// publish lets everybody see the settings, with or without a worker at hand.
func (q *queueRun) publish() {
	if err := workflow.UpsertMemo(q.ctx, map[string]any{MemoSettings: q.books.Settings}); err != nil {
		workflow.GetLogger(q.ctx).Error("publish queue", "error", err)
	}
}

// status answers a question, which is no part of the history: it may look at the
// clock, since nothing may have happened for long.
func (q *queueRun) status() (queue.Status, error) {
	return q.books.Status(time.Now().UnixMilli()), nil //workflowcheck:ignore
}

func (q *queueRun) now() int64 { return workflow.Now(q.ctx).UnixMilli() }

// run nudges workers, and notices those that have vanished, until the queue is of
// no use to anybody or the run has become long.
func (q *queueRun) run() error {
	for {
		for _, worker := range q.books.TakeNudges() {
			q.nudge(worker)
		}
		if q.isLong() {
			return q.continueAsNew()
		}
		if q.used && q.books.Unused() && q.nudging == 0 && workflow.AllHandlersFinished(q.ctx) {
			return nil
		}
		if err := workflow.Await(q.ctx, func() bool { return q.changed }); err != nil {
			return err
		}
		q.changed = false
	}
}

// watch notices leases that end without having been renewed. It looks when one
// might, and not at each renewal.
func (q *queueRun) watch(ctx workflow.Context) {
	for {
		if workflow.Await(ctx, func() bool { return q.books.NextExpiry() > 0 }) != nil {
			return
		}
		until := time.UnixMilli(q.books.NextExpiry()).Sub(workflow.Now(ctx))
		if workflow.Sleep(ctx, max(until, time.Millisecond)) != nil {
			return
		}
		q.books.Expire(q.now())
		q.changed = true
	}
}

// nudge has a worker ask again. If it does not hear, it asks when its lease has to
// be renewed.
func (q *queueRun) nudge(worker string) {
	q.nudging++
	workflow.Go(q.ctx, func(ctx workflow.Context) {
		o := nudgeOptions
		o.TaskQueue = worker
		in := activities.NudgeInput{Subject: QueueID(q.in.Name)}
		_ = workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, o), activities.NameNudge, in).Get(ctx, nil)
		q.nudging--
		q.changed = true
	})
}

func (q *queueRun) isLong() bool {
	return q.asked >= asksPerRun || workflow.GetInfo(q.ctx).GetContinueAsNewSuggested()
}

// continueAsNew goes on in a new run, with short history. Nudges under way are
// waited for, so that none is lost, and signals that have come are taken.
func (q *queueRun) continueAsNew() error {
	err := workflow.Await(q.ctx, func() bool { return q.nudging == 0 && workflow.AllHandlersFinished(q.ctx) })
	if err != nil {
		return err
	}
	var c queue.Change
	for workflow.GetSignalChannel(q.ctx, SignalSet).ReceiveAsync(&c) {
		q.books.Set(q.now(), c)
		c = queue.Change{}
	}
	var r queue.Request
	for workflow.GetSignalChannel(q.ctx, activities.SignalLeave).ReceiveAsync(&r) {
		q.books.Ask(q.now(), r)
		r = queue.Request{}
	}
	q.publish() // a signal that was taken here is in no history that readers look at
	next := q.in
	next.Books = q.books
	return workflow.NewContinueAsNewError(q.ctx, NameQueue, next)
}
