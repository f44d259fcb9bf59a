package engine_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/dispatch"
	"github.com/headrace/headrace/internal/engine"
	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/llm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// provider is a scripted client: script says what the n-th call of a line comes
// to, from 1; nil means an answer.
type provider struct {
	takes  time.Duration
	script func(line int64, n int) error

	mu       sync.Mutex
	calls    map[int64]int
	inFlight int
	peak     int
}

func (p *provider) Call(ctx context.Context, r llm.Request) (llm.Response, error) {
	line := int64(r.Timeout) // smuggled in by the source below
	p.mu.Lock()
	if p.calls == nil {
		p.calls = map[int64]int{}
	}
	p.calls[line]++
	n := p.calls[line]
	p.inFlight++
	p.peak = max(p.peak, p.inFlight)
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.inFlight--
	}()
	if p.takes > 0 { // a timer of no time at all crashes the race detector in a synctest bubble (go1.26.8)
		select {
		case <-ctx.Done():
			return llm.Response{}, ctx.Err()
		case <-time.After(p.takes):
		}
	}
	if p.script != nil {
		if err := p.script(line, n); err != nil {
			return llm.Response{}, err
		}
	}
	return llm.Response{Status: 200}, nil
}

// source hands out lines 1 to n, so many at a time.
type source struct {
	n, at, chunk int64
	fail         error
}

func (s *source) Next(context.Context, engine.Want) ([]engine.Job, error) {
	if s.fail != nil && s.at > 0 {
		return nil, s.fail
	}
	var jobs []engine.Job
	for ; s.at < s.n && int64(len(jobs)) < s.chunk; s.at++ {
		jobs = append(jobs, engine.Job{Line: s.at + 1, Request: llm.Request{Timeout: time.Duration(s.at + 1)}})
	}
	if len(jobs) == 0 {
		return nil, io.EOF
	}
	return jobs, nil
}

// sink keeps outcomes.
type sink struct {
	mu       sync.Mutex
	outcomes map[int64][]engine.Outcome
	block    func(context.Context) error
}

func (s *sink) Put(ctx context.Context, o engine.Outcome) error {
	if s.block != nil {
		if err := s.block(ctx); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.outcomes == nil {
		s.outcomes = map[int64][]engine.Outcome{}
	}
	s.outcomes[o.Line] = append(s.outcomes[o.Line], o)
	return nil
}

// caller makes calls as a lane's does, through a gate of its own.
type caller struct{ d *dispatch.Dispatcher }

func newCaller(p llm.Client) caller {
	return caller{dispatch.New(limit.New(limit.Options{}), dispatch.Route{Name: "provider", Provider: struct {
		llm.Client
		llm.Streamer
	}{Client: p}})}
}

func (c caller) Call(ctx, starting context.Context, j engine.Job, flying func(int)) (llm.Response, error) {
	return c.d.Do(ctx, starting, &dispatch.Call{
		Ticket: limit.Ticket{Order: j.Line}, Request: j.Request, Began: func() { flying(1) }, Ended: func() { flying(-1) },
	})
}

// direct makes calls without a gate.
type direct struct{ llm.Client }

func (d direct) Call(ctx, _ context.Context, j engine.Job, flying func(int)) (llm.Response, error) {
	flying(1)
	defer flying(-1)
	return d.Client.Call(ctx, j.Request)
}

func options(p llm.Client, hands int) engine.Options {
	return engine.Options{Hands: hands, Caller: newCaller(p), MaxAttempts: 3, Backoff: llm.Backoff{Base: time.Second, Max: time.Minute}}
}

func TestEveryJobHasOneOutcomeAndHandsAreAllUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, s := &provider{takes: time.Second}, &sink{}
		begun := time.Now()
		require.NoError(t, engine.New(options(p, 8), &source{n: 80, chunk: 7}, s).Run(t.Context()))
		require.Equal(t, 10*time.Second, time.Since(begun), "80 calls of a second with 8 hands")
		require.Equal(t, 8, p.peak)
		requireOnce(t, s, 80)
	})
}

func requireOnce(t require.TestingT, s *sink, n int64) {
	require.Len(t, s.outcomes, int(n))
	for line, outcomes := range s.outcomes {
		require.Len(t, outcomes, 1, "line %d", line)
	}
}

func TestATransientErrorIsTriedAgainUpToTheLastAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := &llm.Error{Kind: llm.Transient, Status: 500, Code: "oops"}
		p := &provider{script: func(line int64, n int) error {
			if line == 1 || n < 2 {
				return broken
			}
			return nil
		}}
		s := &sink{}
		o := options(p, 2)
		o.Caller = direct{p} // a gate may find that so many failures are the provider's
		var retried atomic.Int64
		o.Retried = func(k llm.Kind) {
			if k == llm.Transient {
				retried.Add(1)
			}
		}
		require.NoError(t, engine.New(o, &source{n: 3, chunk: 3}, s).Run(t.Context()))
		requireOnce(t, s, 3)
		require.Equal(t, int64(1+2+1), retried.Load(), "of three lines, of which one fails for good")
		require.Equal(t, 1, s.outcomes[2][0].Attempt)
		require.Equal(t, broken, s.outcomes[1][0].Err)
		require.Equal(t, 3, p.calls[1])
		require.Nil(t, s.outcomes[2][0].Err)
		require.Equal(t, 2, p.calls[2])
	})
}

func TestAPermanentErrorIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	bad := &llm.Error{Kind: llm.Permanent, Status: 400}
	p, s := &provider{script: func(int64, int) error { return bad }}, &sink{}
	require.NoError(t, engine.New(options(p, 2), &source{n: 5, chunk: 5}, s).Run(t.Context()))
	requireOnce(t, s, 5)
	require.Equal(t, 1, p.calls[3])
}

func TestWaitingForTheProviderCostsNoAttempt(t *testing.T) {
	t.Parallel()
	for _, kind := range []llm.Kind{llm.Throttled, llm.Refused, llm.Exhausted, llm.Unreachable} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				open := time.Now().Add(10 * time.Minute)
				p := &provider{script: func(int64, int) error {
					if time.Now().Before(open) {
						return &llm.Error{Kind: kind, RetryAfter: time.Second}
					}
					return nil
				}}
				s := &sink{}
				require.NoError(t, engine.New(options(p, 4), &source{n: 40, chunk: 40}, s).Run(t.Context()))
				requireOnce(t, s, 40)
				for _, o := range s.outcomes {
					require.Nil(t, o[0].Err)
				}
			})
		})
	}
}

func TestRetryAfterOfATransientErrorIsHonoured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &provider{script: func(_ int64, n int) error {
			if n == 1 {
				return &llm.Error{Kind: llm.Transient, RetryAfter: time.Hour}
			}
			return nil
		}}
		begun := time.Now()
		require.NoError(t, engine.New(options(p, 1), &source{n: 1, chunk: 1}, &sink{}).Run(t.Context()))
		require.Equal(t, time.Hour, time.Since(begun))
	})
}

func TestDrainLetsCallsInFlightFinishAndStartsNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, s := &provider{takes: time.Minute}, &sink{}
		e := engine.New(options(p, 4), &source{n: 100, chunk: 10}, s)
		done := make(chan error)
		go func() { done <- e.Run(t.Context()) }()
		time.Sleep(time.Second)
		require.Equal(t, 4, e.Stats().InFlight)
		e.Drain()
		e.Drain()
		require.NoError(t, <-done)
		requireOnce(t, s, 4)
		require.Len(t, p.calls, 4)
	})
}

func TestAnAbortCutsCallsOffAndTheyHaveNoOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, s := &provider{takes: time.Minute}, &sink{}
		ctx, abort := context.WithCancel(t.Context())
		e := engine.New(options(p, 4), &source{n: 100, chunk: 10}, s)
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		time.Sleep(time.Second)
		begun := time.Now()
		abort()
		require.ErrorIs(t, <-done, context.Canceled)
		require.Zero(t, time.Since(begun))
		require.Empty(t, s.outcomes)
	})
}

func TestAnErrorOfTheSourceDrainsTheEngine(t *testing.T) {
	t.Parallel()
	lost := errors.New("index lost")
	s := &sink{}
	err := engine.New(options(&provider{}, 2), &source{n: 100, chunk: 10, fail: lost}, s).Run(t.Context())
	require.ErrorIs(t, err, lost)
}

func TestASinkThatCannotTakeMoreHoldsTheHandsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		room := make(chan struct{})
		s := &sink{block: func(ctx context.Context) error {
			select {
			case <-room:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		p := &provider{}
		e := engine.New(options(p, 3), &source{n: 9, chunk: 9}, s)
		done := make(chan error)
		go func() { done <- e.Run(t.Context()) }()
		synctest.Wait()
		require.Len(t, p.calls, 3, "one call for each hand, and no more")
		close(room)
		require.NoError(t, <-done)
		requireOnce(t, s, 9)
	})
}

func TestAFailingProviderDoesNotMakeTheEngineFetchEverything(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &provider{script: func(int64, int) error { return &llm.Error{Kind: llm.Transient, RetryAfter: time.Hour} }}
		src := &source{n: 100_000, chunk: 10}
		e := engine.New(options(p, 2), src, &sink{})
		ctx, abort := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		time.Sleep(30 * time.Minute)
		abort()
		require.ErrorIs(t, <-done, context.Canceled)
		require.Less(t, src.at, int64(100))
		time.Sleep(2 * time.Hour) // let the timers of dropped retries pass
	})
}

func TestAClientThatBreaksItsPromiseCostsALineAndNotTheRun(t *testing.T) {
	t.Parallel()
	p, s := &provider{script: func(int64, int) error { return errors.New("surprise") }}, &sink{}
	require.NoError(t, engine.New(options(p, 2), &source{n: 3, chunk: 3}, s).Run(t.Context()))
	requireOnce(t, s, 3)
	require.Equal(t, llm.Permanent, s.outcomes[1][0].Err.Kind)
	require.Equal(t, "surprise", s.outcomes[1][0].Err.Message)
}

// TestWhateverTheProviderDoesEachJobEndsOnce lets calls fail in any way, any
// number of times.
func TestWhateverTheProviderDoesEachJobEndsOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		jobs := rapid.Int64Range(0, 60).Draw(rt, "jobs")
		hands := rapid.IntRange(1, 9).Draw(rt, "hands")
		chunk := rapid.Int64Range(1, 20).Draw(rt, "chunk")
		plan := make([][]llm.Kind, jobs+1)
		kinds := []llm.Kind{llm.Transient, llm.Throttled, llm.Exhausted, llm.Refused, llm.Unreachable, llm.Permanent}
		for i := range plan {
			plan[i] = rapid.SliceOfN(rapid.SampledFrom(kinds), 0, 4).Draw(rt, "errors")
		}
		synctest.Test(t, func(t *testing.T) {
			p := &provider{takes: 100 * time.Millisecond, script: func(line int64, n int) error {
				if errs := plan[line]; n <= len(errs) {
					return &llm.Error{Kind: errs[n-1]}
				}
				return nil
			}}
			s := &sink{}
			o := options(p, hands)
			o.Caller = direct{p} // a gate may find that failures are the provider's, and no attempts
			require.NoError(rt, engine.New(o, &source{n: jobs, chunk: chunk}, s).Run(t.Context()))
			requireOnce(rt, s, jobs)
			require.LessOrEqual(rt, p.peak, hands)
			for line := int64(1); line <= jobs; line++ {
				require.Equal(rt, callsOf(plan[line]), p.calls[line], "line %d: %v", line, plan[line])
			}
		})
	})
}

// callsOf is how many calls a job makes whose calls fail in this order.
func callsOf(errs []llm.Kind) int {
	transient := 0
	for i, kind := range errs {
		if kind == llm.Permanent {
			return i + 1
		}
		if kind == llm.Transient {
			if transient++; transient == 3 {
				return i + 1
			}
		}
	}
	return len(errs) + 1
}

func TestTheEngineAsksForMoreBeforeItRunsDry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// A lease takes 30 ms, a call 20 ms: a source asked only when the hands
		// are idle would more than double the time.
		var n atomic.Int64
		slow := slowSource{source: &source{n: 6400, chunk: 500}, takes: 30 * time.Millisecond}
		begun := time.Now()
		o := options(&provider{takes: 20 * time.Millisecond}, 64)
		require.NoError(t, engine.New(o, slow, &countingSink{&n}).Run(t.Context()))
		require.Equal(t, int64(6400), n.Load())
		ideal := 6400 / 64 * 20 * time.Millisecond
		require.Less(t, time.Since(begun), ideal*110/100)
	})
}

type slowSource struct {
	source *source
	takes  time.Duration
}

func (s slowSource) Next(ctx context.Context, want engine.Want) ([]engine.Job, error) {
	time.Sleep(s.takes)
	return s.source.Next(ctx, want)
}

func TestTheLeastThatIsWantedKeepsHandsBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// Towards the end of a batch chunks have 16 requests. One of them every
		// 100 ms would feed 32 hands whose calls take 200 ms, but not 64.
		var n atomic.Int64
		s := &stingySource{source: source{n: 6400, chunk: 500}, generous: 3200, takes: 100 * time.Millisecond}
		begun := time.Now()
		o := options(&provider{takes: 200 * time.Millisecond}, 64)
		require.NoError(t, engine.New(o, s, &countingSink{&n}).Run(t.Context()))
		require.Equal(t, int64(6400), n.Load())
		ideal := 6400 / 64 * 200 * time.Millisecond
		require.Less(t, time.Since(begun), ideal*110/100)
	})
}

// stingySource gives no more than the least that is wanted, in chunks of 16,
// once it has given so many jobs.
type stingySource struct {
	source
	generous int64
	takes    time.Duration
}

func (s *stingySource) Next(ctx context.Context, want engine.Want) ([]engine.Job, error) {
	time.Sleep(s.takes)
	if s.at >= s.generous {
		const chunk = 16
		s.chunk = int64(max(1, (want.Least+chunk-1)/chunk) * chunk)
	}
	return s.source.Next(ctx, want)
}

type countingSink struct{ n *atomic.Int64 }

func (s *countingSink) Put(context.Context, engine.Outcome) error {
	s.n.Add(1)
	return nil
}
