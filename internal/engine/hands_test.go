package engine_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/engine"
	"github.com/headrace/headrace/internal/llm"
)

// flowing is an engine that runs in a bubble.
type flowing struct {
	*engine.Engine

	provider *provider
	sink     *sink
	done     chan error
}

// flow begins n jobs of a minute each.
func flow(ctx context.Context, o engine.Options, n int64) *flowing {
	f := &flowing{provider: &provider{takes: time.Minute}, sink: &sink{}, done: make(chan error, 1)}
	if o.Caller == nil {
		o.Caller = newCaller(f.provider)
	}
	f.Engine = engine.New(o, &source{n: n, chunk: 7}, f.sink)
	go func() { f.done <- f.Run(ctx) }()
	synctest.Wait()
	return f
}

// hands are options of an engine that flow gives a provider.
func hands(n int) engine.Options {
	o := options(nil, n)
	o.Caller = nil
	return o
}

// inFlight waits until nothing moves and returns the calls in flight.
func (f *flowing) inFlight() int {
	synctest.Wait()
	return f.Stats().InFlight
}

func TestMoreHandsStartCallsAtOnceAndFewerLetThoseInFlightFinish(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := flow(t.Context(), hands(2), 100)
		require.Equal(t, 2, f.inFlight())
		f.SetHands(9)
		require.Equal(t, 9, f.inFlight(), "without waiting for anything")
		require.Equal(t, 9, f.Hands())
		time.Sleep(time.Second)
		f.SetHands(3)
		require.Equal(t, 9, f.inFlight(), "no call is cut off")
		time.Sleep(time.Minute)
		require.Equal(t, 3, f.inFlight())
		require.Len(t, f.sink.outcomes, 9)
		f.SetHands(4)
		f.SetHands(9)
		f.SetHands(5)
		require.Equal(t, 5, f.inFlight(), "the last command wins; calls that it stops before they begin are not made")
		require.NoError(t, <-f.done)
		requireOnce(t, f.sink, 100)
		require.Equal(t, 9, f.provider.peak)
	})
}

func TestWithoutHandsNoCallStartsUntilThereAreSome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var idle atomic.Int64
		o := hands(4)
		o.Idle = func() { idle.Add(1) }
		f := flow(t.Context(), o, 20)
		f.SetHands(0)
		f.SetHands(0)
		time.Sleep(30 * time.Second)
		require.Equal(t, 4, f.inFlight())
		require.Zero(t, idle.Load(), "calls are in flight")
		time.Sleep(time.Hour)
		require.Zero(t, f.inFlight())
		require.Len(t, f.provider.calls, 4)
		require.EqualValues(t, 1, idle.Load())
		require.Equal(t, engine.Stats{Open: f.Stats().Open}, f.Stats(), "nothing is under way")
		f.SetHands(4)
		require.Equal(t, 4, f.inFlight())
		require.NoError(t, <-f.done)
		requireOnce(t, f.sink, 20)
	})
}

func TestAnEngineThatIsIdleMayBeDrained(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f *flowing
		o := hands(4)
		o.Idle = func() { f.Drain() }
		f = flow(t.Context(), o, 20)
		f.SetHands(0)
		require.NoError(t, <-f.done)
		requireOnce(t, f.sink, 4)
		f.SetHands(9) // too late, and harmless
	})
}

func TestAJobThatWaitsAtTheGateComesBackWhenItsHandIsTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		open := make(chan struct{})
		o := hands(5)
		p := &provider{takes: time.Minute}
		o.Caller = barrier{direct{p}, open}
		f := flow(t.Context(), o, 10)
		require.Equal(t, 5, f.Stats().Busy)
		f.SetHands(2)
		synctest.Wait()
		require.Equal(t, 2, f.Stats().Busy, "the others wait no more")
		f.SetHands(0)
		synctest.Wait()
		require.Zero(t, f.Stats().Busy)
		close(open)
		time.Sleep(time.Hour)
		require.Empty(t, p.calls)
		f.SetHands(1)
		require.NoError(t, <-f.done)
		requireOnce(t, f.sink, 10)
		require.Equal(t, 1, p.peak)
	})
}

func TestCallsThatWaitForTheirTurnMayBeMadeToAskAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &provider{takes: time.Minute}
		var shut atomic.Bool
		shut.Store(true)
		o := hands(5)
		o.Caller = door{direct{p}, &shut}
		f := flow(t.Context(), o, 10)
		f.Reenter()
		synctest.Wait()
		require.Equal(t, 5, f.Stats().Busy)
		require.Empty(t, p.calls)
		shut.Store(false)
		f.Reenter()
		synctest.Wait()
		require.Equal(t, 5, f.Stats().InFlight)
		f.Reenter() // calls in flight go on
		require.NoError(t, <-f.done)
		requireOnce(t, f.sink, 10)
		require.Len(t, p.calls, 10)
	})
}

// door lets nobody in who finds it shut.
type door struct {
	direct

	shut *atomic.Bool
}

func (d door) Call(ctx, starting context.Context, j engine.Job, flying func(int)) (llm.Response, error) {
	if !d.shut.Load() {
		return d.direct.Call(ctx, starting, j, flying)
	}
	<-starting.Done()
	return llm.Response{}, starting.Err()
}

// barrier lets nobody in until it is opened.
type barrier struct {
	direct

	open chan struct{}
}

func (b barrier) Call(ctx, starting context.Context, j engine.Job, flying func(int)) (llm.Response, error) {
	select {
	case <-b.open:
		return b.direct.Call(ctx, starting, j, flying)
	case <-starting.Done():
		return llm.Response{}, starting.Err()
	}
}

func TestHandsMayBeSetBeforeAndAfterTheRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, s := &provider{takes: time.Second}, &sink{}
		e := engine.New(options(p, 0), &source{n: 8, chunk: 8}, s)
		e.SetHands(4)
		begun := time.Now()
		require.NoError(t, e.Run(t.Context()))
		require.Equal(t, 2*time.Second, time.Since(begun))
		e.SetHands(8)
	})
}

// TestWhateverHandsAreSetEachJobEndsOnceAndNoCallIsTooMany changes hands while
// calls fail in any way: a call begins only where fewer than allowed are under way.
func TestWhateverHandsAreSetEachJobEndsOnceAndNoCallIsTooMany(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		jobs := rapid.Int64Range(1, 60).Draw(rt, "jobs")
		changes := rapid.SliceOfN(rapid.IntRange(0, 9), 0, 12).Draw(rt, "hands")
		kinds := []llm.Kind{llm.Transient, llm.Throttled, llm.Unreachable, llm.Permanent}
		synctest.Test(t, func(t *testing.T) {
			p := &provider{takes: 700 * time.Millisecond, script: func(line int64, n int) error {
				if n == 1 && line%3 == 0 {
					return &llm.Error{Kind: kinds[line/3%int64(len(kinds))]}
				}
				return nil
			}}
			s := &sink{}
			var e *engine.Engine
			o := options(p, 3)
			o.Caller = newCaller(checked{p, func() { require.LessOrEqual(rt, e.Stats().InFlight, e.Hands()) }})
			e = engine.New(o, &source{n: jobs, chunk: 5}, s)
			done := make(chan error, 1)
			go func() { done <- e.Run(t.Context()) }()
			for _, n := range changes {
				time.Sleep(time.Second)
				e.SetHands(n)
				synctest.Wait()
			}
			e.SetHands(2)
			require.NoError(rt, <-done)
			requireOnce(rt, s, jobs)
		})
	})
}

// checked looks at something before each call.
type checked struct {
	llm.Client

	check func()
}

func (c checked) Call(ctx context.Context, r llm.Request) (llm.Response, error) {
	c.check()
	return c.Client.Call(ctx, r)
}
