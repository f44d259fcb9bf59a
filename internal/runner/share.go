package runner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/headrace/headrace/internal/record"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/task"
)

// Tasks that ask the same may share one call. In one process those that come
// while one of them is under way wait for it: that is a flight. Between
// processes, and after the end, an object in the store says which task has the
// answer, or is about to: its claim.

// claim says which task answers a question.
type claim struct {
	Task string `json:"task"`
	// At is when the task ended, or, while Ended is false, when it was last seen
	// under way.
	At    task.Millis `json:"at"`
	Ended bool        `json:"ended"`
}

// Times of claims.
const (
	// claimEvery is how often a task that is under way says so.
	claimEvery = 5 * time.Second
	// claimStale is the age from which a claim of a task under way is that of a
	// process which has died. Clocks of processes may be some seconds apart.
	claimStale = 3 * claimEvery
	// claimLook is the time between two looks at another process's task.
	claimLook = 250 * time.Millisecond
)

// question is the same for tasks that ask the same.
func (j *job) question() string {
	h := sha256.New()
	for _, part := range []string{j.parent.part.Project, j.spec.URL, j.spec.Method, j.spec.Body} {
		_, _ = io.WriteString(h, part)
		_, _ = h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))
}

// shares reports whether the task may share a call.
func (j *job) shares() bool { return j.spec.Coalesce || j.spec.Cache > 0 }

// share settles the task with another one's answer if it can have one. If not,
// it returns false, and the call is the task's to make; land must be called when
// that has ended.
func (j *job) share() (settled bool, land func()) {
	ctx, stop := j.untilCall()
	defer stop()
	question := j.question()
	for ctx.Err() == nil {
		leads, flight := j.parent.runner.board(question)
		if !leads && !j.spec.Coalesce {
			return false, func() {} // it wants old answers, not others' calls
		}
		if !leads {
			select {
			case <-flight:
			case <-ctx.Done():
			}
			if j.reuse(ctx, question, true) {
				return true, nil
			}
			continue
		}
		land, ok := j.lead(ctx, question)
		if !ok {
			land()
			return true, nil
		}
		return false, land
	}
	j.stopWaiting()
	return true, nil
}

// lead claims a question for this process's flight. It returns false when the
// task has got another one's answer after all.
//
//nolint:contextcheck // what it leads ends with the task, not with the wait for it
func (j *job) lead(ctx context.Context, question string) (land func(), ok bool) {
	r := j.parent.runner
	land = func() { r.land(question) }
	key := store.Answer(j.parent.part.Project, question)
	for {
		if j.reuse(ctx, question, false) {
			return land, false
		}
		if !j.claim(ctx, key) {
			break
		}
	}
	claiming, stop := context.WithCancel(r.ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(claimEvery)
		defer ticker.Stop()
		for {
			select {
			case <-claiming.Done():
				return
			case <-ticker.C:
			}
			_ = r.o.Store.PutJSON(claiming, key, claim{Task: j.id().String(), At: task.Now()})
		}
	}()
	return func() {
		stop()
		<-ended
		if o, err := record.Find(r.ctx, r.o.Store, j.parent.part.Project, j.id()); err == nil && o.Status == task.Completed {
			_ = r.o.Store.PutJSON(r.ctx, key, claim{Task: o.ID, At: task.Now(), Ended: true})
		} else {
			_ = r.o.Store.Delete(r.ctx, key)
		}
		r.land(question)
	}, true
}

// claim says that the task is about to answer a question. It returns true if
// another process was faster. A claim that cannot be written costs a second call
// at worst.
func (j *job) claim(ctx context.Context, key string) (lost bool) {
	s := j.parent.runner.o.Store
	own, _ := json.Marshal(claim{Task: j.id().String(), At: task.Now()}) // always encodes
	if exists, err := s.Exists(ctx, key); err == nil && exists {         // of no use any more
		_ = s.Put(ctx, key, own)
		return false
	}
	return errors.Is(s.PutNew(ctx, key, own), store.ErrExists) && ctx.Err() == nil
}

// reuse settles the task with an answer that is there, or with that of a task
// which another process has under way. flown says that the answer is one that
// this task has waited for.
func (j *job) reuse(ctx context.Context, question string, flown bool) bool {
	for {
		var c claim
		r := j.parent.runner
		if r.o.Store.GetJSON(ctx, store.Answer(j.parent.part.Project, question), &c) != nil {
			return false
		}
		id, ok := task.ParseID(task.Prefix, c.Task)
		age := time.Since(c.At.Time())
		switch {
		case !ok || id == j.id():
			return false
		case c.Ended && (flown || age <= time.Duration(j.spec.Cache)):
			return j.copy(ctx, id, flown)
		case c.Ended || !j.spec.Coalesce || age > claimStale:
			return false
		}
		flown = true
		select {
		case <-ctx.Done():
			return false
		case <-time.After(claimLook):
		}
	}
}

// copy settles the task with the answer of another one.
func (j *job) copy(ctx context.Context, from task.ID, flown bool) bool {
	o, err := record.Find(ctx, j.parent.runner.o.Store, j.parent.part.Project, from)
	if err != nil || o.Status != task.Completed || o.Result == nil {
		return false
	}
	result := *o.Result
	result.Cached, result.Coalesced = !flown, flown
	j.keepResult(task.Completed, &result, nil, nil) //nolint:contextcheck // a result is kept whoever waits
	return true
}

// board joins the flight of a question, or begins one. flight is closed when it
// has ended.
func (r *Runner) board(question string) (leads bool, flight <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f, ok := r.flights[question]; ok {
		return false, f
	}
	r.flights[question] = make(chan struct{})
	return true, nil
}

// land ends the flight of a question.
func (r *Runner) land(question string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f, ok := r.flights[question]; ok {
		close(f)
		delete(r.flights, question)
	}
}
