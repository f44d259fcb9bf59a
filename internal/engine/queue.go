package engine

import (
	"context"
	"slices"
	"sync"
	"time"
)

// task is a job on its way.
type task struct{ job Job }

// queue holds the tasks that no hand has taken. Those which are due again go
// before fresh ones. Hands wait in take, the feeder in awaitLow.
type queue struct {
	mu     sync.Mutex
	ready  sync.Cond // a task can be taken, or none ever will
	low    sync.Cond // the feeder should fetch, or never again
	over   sync.Cond // no task will be taken any more
	due    []task
	fresh  []task
	closed bool
	ended  bool // the source is at its end

	retrying int // in backoff
	open     int // not settled: in the queue, in backoff or in a hand
	busy     int // in a hand

	hands int // that may be busy
	pace  pace
	idle  func() // called when no hand is left and none is busy

	// starting is the context of all that comes before a call, and entering that
	// of tasks which wait to be let in: it ends when hands are taken away.
	starting, entering context.Context //nolint:containedctx // handed out with tasks
	giveUp             context.CancelFunc
}

// retriesPerHand bounds the tasks in backoff: while there are more, nothing
// fresh is fetched, so that a failing provider cannot fill the memory.
const retriesPerHand = 8

func newQueue(hands int, idle func()) *queue {
	q := &queue{hands: hands, idle: idle}
	q.ready.L, q.low.L, q.over.L = &q.mu, &q.mu, &q.mu
	return q
}

// begin lets tasks be taken, which wait under starting until they are let in.
func (q *queue) begin(starting context.Context) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.starting = starting
	q.entering, q.giveUp = context.WithCancel(starting)
}

// setHands says how many tasks may be with hands. When there are fewer than
// before, all that wait to be let in come back: as many as may go again.
func (q *queue) setHands(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	fewer := n < q.hands
	q.hands = n
	if q.starting == nil {
		return
	}
	if fewer {
		q.callBack()
	}
	q.ready.Broadcast()
	q.low.Broadcast()
	q.checkIdle()
}

// callBack makes all tasks come back that wait to be let in. The mutex is held.
func (q *queue) callBack() {
	q.giveUp()
	q.entering, q.giveUp = context.WithCancel(q.starting)
}

// reenter makes all tasks that wait to be let in wait anew.
func (q *queue) reenter() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.starting != nil {
		q.callBack()
	}
}

// take waits for a task, and for its turn. It returns the context under which
// to wait for admission, and false when there will be no task.
func (q *queue) take() (task, context.Context, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.finished() && (len(q.due)+len(q.fresh) == 0 || q.busy >= q.hands) {
		q.ready.Wait()
	}
	if q.finished() {
		return task{}, nil, false
	}
	from := &q.fresh
	if len(q.due) > 0 {
		from = &q.due
	}
	t := (*from)[0]
	(*from)[0] = task{} // let go of its body
	*from = (*from)[1:]
	if q.isLow() {
		q.low.Signal()
	}
	q.busy++
	return t, q.entering, true
}

// finished reports whether no task will be taken any more.
func (q *queue) finished() bool { return q.closed || q.ended && q.open == 0 }

func (q *queue) checkOver() {
	if q.finished() {
		q.ready.Broadcast()
		q.over.Broadcast()
	}
}

// awaitFinished waits until no task will be taken any more.
func (q *queue) awaitFinished() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.finished() {
		q.over.Wait()
	}
}

// release frees the hand that had a task. The mutex is held.
func (q *queue) release() {
	q.busy--
	q.checkIdle()
}

func (q *queue) checkIdle() {
	if q.hands == 0 && q.busy == 0 && q.idle != nil {
		q.idle()
	}
}

// load is how many tasks are with hands, and how many are not settled.
func (q *queue) load() (busy, open int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.busy, q.open
}

// settled books one task as done.
func (q *queue) settled() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.release()
	q.open--
	q.pace.count()
	q.checkOver()
}

// again puts a task back to be taken at once.
func (q *queue) again(t task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.release()
	q.putBack(t)
}

// untake puts a task back as if it had not been taken: it goes first.
func (q *queue) untake(t task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.due = slices.Insert(q.due, 0, t)
	q.release()
	q.ready.Signal()
}

func (q *queue) putBack(t task) {
	q.due = append(q.due, t)
	q.ready.Signal()
}

// later puts a task back to be taken after a while.
func (q *queue) later(t task, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.release()
	q.retrying++
	time.AfterFunc(wait, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.retrying--
		if q.isLow() {
			q.low.Signal()
		}
		q.putBack(t)
	})
}

func (q *queue) retryCount() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.retrying
}

// awaitLow waits until more jobs should be fetched and returns how many. It
// returns false when no more are wanted ever.
func (q *queue) awaitLow() (Want, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.closed && !q.isLow() {
		q.low.Wait()
	}
	return q.pace.want(q.hands), !q.closed
}

// isLow reports whether to fetch; without hands there is no need to.
func (q *queue) isLow() bool {
	return q.hands > 0 && len(q.fresh) < q.pace.low(q.hands) && q.retrying < retriesPerHand*q.hands
}

// add puts fetched jobs into the queue; fetching took so long.
func (q *queue) add(jobs []Job, took time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pace.fetched(took)
	q.open += len(jobs)
	for _, job := range jobs {
		q.fresh = append(q.fresh, task{job: job})
	}
	q.ready.Broadcast()
}

// untaken counts, by chunk, the jobs that were never taken.
func (q *queue) untaken() map[int64]int {
	q.mu.Lock()
	defer q.mu.Unlock()
	counts := map[int64]int{}
	for _, t := range q.fresh {
		counts[t.job.Chunk]++
	}
	return counts
}

// end says that no more jobs will be added.
func (q *queue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.checkOver()
}

// close makes take and awaitLow return false.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.checkOver()
	q.low.Broadcast()
}
