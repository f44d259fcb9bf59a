package engine

import (
	"sync"
	"time"
)

// task is a job on its way.
type task struct {
	job      Job
	attempts int
}

// queue holds the tasks that no hand has taken. Those which are due again go
// before fresh ones. Hands wait in take, the feeder in awaitLow.
type queue struct {
	mu     sync.Mutex
	ready  sync.Cond // a task can be taken, or none ever will
	low    sync.Cond // the feeder should fetch, or never again
	due    []task
	fresh  []task
	closed bool
	ended  bool // the source is at its end

	retrying int // in backoff
	open     int // not settled: in the queue, in backoff or in a hand

	hands int
	pace  pace
}

// retriesPerHand bounds the tasks in backoff: while there are more, nothing
// fresh is fetched, so that a failing provider cannot fill the memory.
const retriesPerHand = 8

func newQueue(hands int) *queue {
	q := &queue{hands: hands}
	q.ready.L, q.low.L = &q.mu, &q.mu
	return q
}

// take waits for a task. It returns false when there will be none.
func (q *queue) take() (task, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.closed && len(q.due)+len(q.fresh) == 0 && (!q.ended || q.open > 0) {
		q.ready.Wait()
	}
	if q.closed || len(q.due)+len(q.fresh) == 0 {
		return task{}, false
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
	return t, true
}

// settled books one task as done.
func (q *queue) settled() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open--
	q.pace.count()
	if q.open == 0 && q.ended {
		q.ready.Broadcast()
	}
}

// again puts a task back to be taken at once.
func (q *queue) again(t task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.due = append(q.due, t)
	q.ready.Signal()
}

// later puts a task back to be taken after a while.
func (q *queue) later(t task, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.retrying++
	time.AfterFunc(wait, func() {
		q.mu.Lock()
		q.retrying--
		if q.isLow() {
			q.low.Signal()
		}
		q.mu.Unlock()
		q.again(t)
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

func (q *queue) isLow() bool {
	return len(q.fresh) < q.pace.low(q.hands) && q.retrying < retriesPerHand*q.hands
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

// end says that no more jobs will be added.
func (q *queue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.ready.Broadcast()
}

// close makes take and awaitLow return false.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.ready.Broadcast()
	q.low.Broadcast()
}
