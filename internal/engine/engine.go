package engine

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headrace/headrace/internal/llm"
)

// Job is one request to make. Chunk and Line are the caller's name for it.
type Job struct {
	Chunk int64
	Line  int64
	// CustomID is the user's id as it stands in the input, quotes included.
	CustomID []byte
	Request  llm.Request
	// Attempt is how many attempts have failed. The engine counts them.
	Attempt int
}

// Outcome is what became of a Job: a response, or the error of its last
// attempt.
type Outcome struct {
	Job

	Response llm.Response
	Err      *llm.Error
}

// Want says how many jobs to fetch.
type Want struct {
	Most int
	// Least is the number with which hands run dry before the next fetch can
	// bring more. There may not be as many left, for all who want some.
	Least int
}

// Source is where jobs come from.
type Source interface {
	// Next waits for jobs and returns about as many as are wanted, or as few as
	// one. It returns none if hands were taken away meanwhile, and io.EOF when no
	// more will come. It is called by one goroutine.
	Next(ctx context.Context, want Want) ([]Job, error)
}

// Sink is where outcomes go.
type Sink interface {
	// Put takes an outcome. It may block while the sink cannot take more, until
	// ctx ends. It is called by many goroutines at once.
	Put(ctx context.Context, o Outcome) error
}

// Caller makes calls, when they may be made.
type Caller interface {
	// Call makes a job's call as soon as it may, once, and tells flying how many
	// calls are in flight more or less. The end of ctx cuts the call off, that of
	// starting ends the wait for its turn; either is returned as it is. Any other
	// error is an *llm.Error.
	Call(ctx, starting context.Context, j Job, flying func(int)) (llm.Response, error)
}

// Options configures an Engine. All fields but Idle and Retried are needed.
type Options struct {
	// Hands is the number of calls kept in flight, until SetHands.
	Hands int
	// Idle, if set, is called when SetHands has left no hand and no call is in
	// flight any more, from any goroutine and each time anew. It must not block
	// or ask the engine anything; it may call Drain.
	Idle   func()
	Caller Caller
	// MaxAttempts bounds the tries of a job whose errors are transient.
	MaxAttempts int
	Backoff     llm.Backoff
	// Retried, if set, is told of each call that failed and is made again, and must
	// not block.
	Retried func(llm.Kind)
}

// Stats counts what an engine has under way.
type Stats struct {
	InFlight int // calls
	Retrying int // jobs that wait for their next attempt
	// Busy is the number of jobs that hands have: calls in flight, those that
	// are about to be, and outcomes on their way to the sink.
	Busy int
	// Open is the number of jobs that were fetched and have no outcome.
	Open int
}

// Engine makes calls. It is good for one Run.
type Engine struct {
	o        Options
	source   Source
	sink     Sink
	queue    *queue
	inFlight atomic.Int64
	drain    chan struct{}
	drained  sync.Once
	fed      chan struct{} // closed when no more jobs are fetched

	mu    sync.Mutex
	allow int            // hands
	hired int            // goroutines that work, while hire is set
	hire  func(more int) // starts goroutines; nil before Run and at its end
}

// New returns an engine that has not begun.
func New(o Options, source Source, sink Sink) *Engine {
	return &Engine{
		o: o, source: source, sink: sink, queue: newQueue(o.Hands, o.Idle), allow: o.Hands,
		drain: make(chan struct{}), fed: make(chan struct{}),
	}
}

// SetHands changes the number of calls kept in flight, at any time. With fewer,
// those in flight beyond them finish, and none starts until there are fewer than
// n; with 0 none starts.
func (e *Engine) SetHands(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.allow = n
	e.queue.setHands(n)
	if e.hire != nil && n > e.hired {
		e.hire(n - e.hired)
		e.hired = n
	}
}

// Reenter makes calls that wait for their turn ask the Caller anew, since what it
// goes by has changed. Calls in flight go on.
func (e *Engine) Reenter() { e.queue.reenter() }

// Hands is the number that was set last.
func (e *Engine) Hands() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.allow
}

// Drain tells the engine to start no more calls. Those in flight finish. It may
// be called more than once, and before Run.
func (e *Engine) Drain() { e.drained.Do(func() { close(e.drain) }) }

// Withdraw drains the engine and returns, per chunk, the number of its jobs that
// were fetched and that no hand has taken or will take. It waits until no fetch is
// under way, or until ctx ends. Call it while Run runs, or will.
func (e *Engine) Withdraw(ctx context.Context) (map[int64]int, error) {
	e.Drain()
	e.queue.close()
	select {
	case <-e.fed:
		return e.queue.untaken(), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Stats may be called at any time.
func (e *Engine) Stats() Stats {
	busy, open := e.queue.load()
	return Stats{InFlight: int(e.inFlight.Load()), Retrying: e.queue.retryCount(), Busy: busy, Open: open}
}

// Run makes calls until the source is at its end and every job has its outcome,
// or until Drain; then it returns nil. When ctx ends, calls in flight are cut
// off, their jobs have no outcome, and Run returns the error of ctx. An error
// of the source or the sink drains the engine and is returned.
func (e *Engine) Run(ctx context.Context) error {
	// A call runs under ctx: nothing but its end cuts the call off. Whatever
	// comes before a call runs under starting, which Drain ends as well.
	starting, stop := context.WithCancel(ctx)
	defer stop()
	e.queue.begin(starting)
	defer context.AfterFunc(starting, e.queue.close)()

	var failed firstError
	fail := func(err error) {
		failed.set(err)
		e.Drain()
	}
	var background, hands sync.WaitGroup
	background.Go(func() {
		select {
		case <-e.drain:
			stop()
		case <-starting.Done():
		}
	})
	background.Go(func() {
		defer close(e.fed)
		if err := e.feed(starting); err != nil {
			fail(err)
		}
	})
	e.employ(&hands, func() {
		if err := e.work(ctx, starting); err != nil {
			fail(err)
		}
	})
	hands.Wait()
	stop()
	background.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	return failed.get()
}

// employ starts a goroutine for each hand, now and when SetHands asks for more,
// until there is nothing left to take. Those that are too many wait.
func (e *Engine) employ(hands *sync.WaitGroup, work func()) {
	hire := func(more int) {
		for range more {
			hands.Go(work)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	hands.Go(func() {
		e.queue.awaitFinished()
		e.mu.Lock()
		defer e.mu.Unlock()
		e.hire = nil
	})
	e.hire, e.hired = hire, e.allow
	hire(e.allow)
}

// feed keeps the queue filled until the source is at its end.
func (e *Engine) feed(ctx context.Context) error {
	for {
		want, ok := e.queue.awaitLow()
		if !ok {
			return nil
		}
		begun := time.Now()
		jobs, err := e.source.Next(ctx, want)
		switch {
		case errors.Is(err, io.EOF):
			e.queue.end()
			return nil
		case err != nil && ctx.Err() != nil:
			return nil // told to stop while asking
		case err != nil:
			return err
		}
		e.queue.add(jobs, time.Since(begun))
	}
}

// firstError keeps the first error that is set.
type firstError struct {
	mu  sync.Mutex
	err error
}

func (f *firstError) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
}

func (f *firstError) get() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}
