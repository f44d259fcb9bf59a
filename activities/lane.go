package activities

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/engine"
	"github.com/headrace/headrace/internal/jsonl"
	"github.com/headrace/headrace/internal/ledger"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/results"
	"github.com/headrace/headrace/internal/store"
)

// Work is one lane of a batch. It leases chunks from the batch workflow, makes
// their calls with so many hands, and keeps the results in the store, until
// nothing is left to lease or it is told to stop.
//
// When its worker stops, it gives back at once the chunks of which it has begun
// none, finishes the calls in flight, and leaves: the workflow opens other lanes.
// If it cannot tell the workflow, it returns an error that makes Temporal start
// the lane elsewhere at once. There, as after a crash, it takes over what it held
// and makes only the calls whose results are missing.
func (a *Activities) Work(ctx context.Context, in WorkInput) error {
	l := newLane(ctx, a, in)
	defer l.recorder.Close()
	return l.work(ctx)
}

// lane is one attempt of Work.
type lane struct {
	a        *Activities
	in       WorkInput
	ledger   *ledgerClient
	pulse    *pulse
	recorder *results.Recorder
	namer    results.Namer
	engine   *engine.Engine
	places   places
	accepted int64 // see acceptedAt

	turn     chan struct{} // to speak to the ledger
	begun    chan struct{} // closed when the ledger has answered for the first time
	told     chan struct{} // the ledger has answered
	settings atomic.Pointer[ledger.Settings]
	reported atomic.Int64 // the most calls in flight, as the ledger was told last
	ended    atomic.Bool  // no more requests will come
	draining atomic.Bool  // no more calls will start
	handed   atomic.Bool  // the ledger has taken back what was not begun

	leases    []ledger.Lease // not yet opened
	exhausted bool
	perChunk  int                           // requests of the chunk that was opened last
	before    atomic.Pointer[ledger.Totals] // what earlier attempts committed
}

func newLane(ctx context.Context, a *Activities, in WorkInput) *lane {
	info := activity.GetInfo(ctx)
	attempt := int(info.Attempt)
	l := &lane{
		a: a, in: in, ledger: newLedgerClient(ctx, in.Lane), namer: results.NewNamer(in.Run.Batch), accepted: acceptedAt(in.Run.Batch),
		turn: make(chan struct{}, 1), begun: make(chan struct{}), told: make(chan struct{}, 1),
	}
	l.settings.Store(&ledger.Settings{Hands: in.Hands, Queue: in.Options.Queue, Priority: in.Options.CallPriority()})
	l.perChunk = jsonl.MaxChunkRequests // the first chunks are the largest, and no lane may take many of those
	l.recorder = results.NewRecorder(ctx, a.Store, in.Run, ledger.Holder(in.Lane, attempt))
	l.pulse = newPulse(ctx, laneBeats, func() any { return l.progress() })
	o := engine.Options{
		Hands: in.Hands, Caller: laneCaller{l},
		MaxAttempts: in.Options.MaxAttempts, Backoff: llm.DefaultBackoff, Retried: a.retried(),
		// A lane without hands holds no worker: whoever wants calls again opens one.
		Idle: func() {
			if !l.settings.Load().Wait {
				l.engine.Drain()
			}
		},
	}
	if in.Unmade != nil {
		o.Caller = refuser{l.pulse, in.Unmade}
	}
	l.engine = engine.New(o, l, l)
	return l
}

// abortFlush bounds how long a lane that was cut off takes to write what it
// has. What it does not manage is called again.
const abortFlush = 2 * time.Second

// errStopping makes Temporal start the lane on another worker. Benign errors
// are not logged: whoever stops a worker knows.
var errStopping = temporal.NewApplicationErrorWithOptions("the worker is stopping", "stopping",
	temporal.ApplicationErrorOptions{Category: temporal.ApplicationErrorCategoryBenign})

func (l *lane) work(ctx context.Context) error {
	// The end of ctx may mean several things; watch finds out which. Until it
	// has, calls go on.
	alive, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	w := watch(ctx, l, abort)
	err := l.engine.Run(alive)
	if flushErr := l.recorder.Flush(alive); err == nil {
		err = flushErr
	}
	if alive.Err() != nil {
		l.flushBriefly(ctx)
		err = nil
	}
	if reason := w.end(); reason != nil {
		if l.handed.Load() && l.leave(ctx, departLimit) == nil {
			return nil // others go on with what is left
		}
		return reason
	}
	if errors.Is(err, ledger.ErrFenced) {
		// The ledger knows this attempt to be over. If Temporal does not, the
		// lane has left, and the worker died before it could say so: then this
		// says so. If it does, nobody listens.
		return nil
	}
	if err != nil {
		return err
	}
	return l.leave(ctx, leaveLimit)
}

// leaveLimit bounds how long a lane tries to take its leave. It sends no
// heartbeats by then. One whose worker stops may as well be started elsewhere.
const (
	leaveLimit  = 30 * time.Second
	departLimit = 2 * time.Second
)

// leave tells the ledger what the lane has finished. A cancelled activity does
// so too: otherwise the next lane would read again what this one has written.
func (l *lane) leave(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	_, err := l.ask(ctx, ledger.Request{Commits: l.recorder.Commits(), Partials: l.recorder.Partials(), Leaving: true})
	return err
}

func (l *lane) flushBriefly(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortFlush)
	defer cancel()
	_ = l.recorder.Flush(ctx)
}

// Next implements engine.Source: it opens the next chunk, and leases more
// chunks when there is none.
func (l *lane) Next(ctx context.Context, want engine.Want) ([]engine.Job, error) {
	for {
		for len(l.leases) > 0 {
			jobs, err := l.open(ctx, l.leases[0])
			if err != nil {
				return nil, err
			}
			l.leases = l.leases[1:]
			if len(jobs) > 0 {
				return jobs, nil
			}
		}
		if l.exhausted {
			l.ended.Store(true)
			return nil, io.EOF
		}
		if l.engine.Hands() == 0 {
			return nil, nil
		}
		if err := l.lease(ctx, want); err != nil {
			return nil, err
		}
	}
}

// lease reports finished chunks and leases about as many as hold the requests
// that are wanted.
func (l *lane) lease(ctx context.Context, want engine.Want) error {
	first := l.isNew()
	grant, err := l.ask(ctx, ledger.Request{
		Commits: l.recorder.Commits(), Want: l.chunksFor(want.Most), Least: l.chunksFor(want.Least),
	})
	if err != nil {
		return err
	}
	if first {
		l.before.Store(&grant.Totals)
		close(l.begun)
	}
	l.leases, l.exhausted = grant.Chunks, grant.Exhausted || grant.Stop != ledger.Go
	if grant.Stop != ledger.Go {
		l.leases = nil
	}
	return nil
}

// chunksFor is how many chunks hold about so many requests.
func (l *lane) chunksFor(requests int) int { return (requests + l.perChunk - 1) / l.perChunk }

// open reads a chunk and returns a job for each of its requests that has no
// result yet.
func (l *lane) open(ctx context.Context, lease ledger.Lease) ([]engine.Job, error) {
	requests, err := l.read(ctx, lease.Chunk)
	if err != nil {
		return nil, err
	}
	l.perChunk = max(len(requests), 1)
	have := map[int64]bool{}
	err = patiently(ctx, func() error {
		lines, err := l.recorder.Open(ctx, lease.Chunk, len(requests), lease.Touched)
		for _, line := range lines {
			have[line] = true
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	jobs := make([]engine.Job, 0, len(requests))
	for _, r := range requests {
		if !have[r.Line] {
			jobs = append(jobs, l.job(lease.Chunk, r))
		}
	}
	return jobs, nil
}

func (l *lane) job(chunk int64, r jsonl.Request) engine.Job {
	return engine.Job{Chunk: chunk, Line: r.Line, CustomID: r.CustomID, Request: llm.Request{
		Endpoint: l.in.Endpoint, Model: r.Model, Body: r.Body, Timeout: time.Duration(l.in.Options.Timeout),
	}}
}

// read reads the requests of a chunk: its place from the index, its lines from
// the input.
func (l *lane) read(ctx context.Context, n int64) ([]jsonl.Request, error) {
	record, err := l.fetch(ctx, func() ([]byte, error) {
		return l.a.Store.Range(ctx, l.in.Run.Index(), n*jsonl.RecordSize, jsonl.RecordSize)
	})
	if err != nil {
		return nil, err
	}
	chunk, err := jsonl.DecodeChunk(record)
	if err != nil {
		return nil, broken(err)
	}
	text, err := l.fetch(ctx, func() ([]byte, error) {
		return l.a.Store.FileDataRange(ctx, l.in.Run.Project, l.in.InputFileID, chunk.Offset, chunk.Length)
	})
	if err != nil {
		return nil, err
	}
	requests, err := jsonl.ReadChunk(bytes.NewReader(text), chunk)
	if err != nil {
		return nil, broken(err)
	}
	return requests, nil
}

// fetch reads from the store. Only what is not there is beyond hope.
func (l *lane) fetch(ctx context.Context, read func() ([]byte, error)) (data []byte, err error) {
	err = patiently(ctx, func() error {
		data, err = read()
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, broken(err)
	}
	return data, err
}

// broken is an error that trying again cannot mend.
func broken(err error) error {
	return temporal.NewNonRetryableApplicationError(err.Error(), "Broken", err)
}

// Put implements engine.Sink: it turns an outcome into a line and keeps it.
func (l *lane) Put(ctx context.Context, o engine.Outcome) error {
	const frame = 256 // of a line, around the body
	if o.Err == nil {
		text := l.namer.AppendAnswer(make([]byte, 0, len(o.Response.Body)+frame), o.Line, o.CustomID, o.Response)
		return l.recorder.Put(ctx, o.Chunk, o.Line, results.Answered, o.Response.Usage, text)
	}
	result := results.Failed
	if l.in.Unmade != nil {
		result = results.Unmade
	}
	text := l.namer.AppendFailure(make([]byte, 0, len(o.Err.Body)+frame), o.Line, o.CustomID, o.Err)
	return l.recorder.Put(ctx, o.Chunk, o.Line, result, o.Response.Usage, text)
}

// progress is what heartbeats tell.
func (l *lane) progress() batch.Progress {
	totals, stats := l.recorder.Totals(), l.engine.Stats()
	if before := l.before.Load(); before != nil {
		totals.Add(*before)
	}
	p := batch.Progress{
		Lane: l.in.Lane, Completed: totals.Completed, Failed: totals.Failed, Usage: totals.Usage,
		InFlight: stats.InFlight, Retrying: stats.Retrying,
	}
	if l.in.Unmade == nil {
		p.WaitingOn = l.waitingOn(stats)
	}
	if since, err := l.recorder.Trouble(); err != nil {
		p.WaitingOn = &batch.WaitingOn{Reason: batch.StorageFailing, Message: err.Error(), Since: since.Unix()}
	}
	return p
}
