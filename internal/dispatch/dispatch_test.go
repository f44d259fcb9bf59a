package dispatch_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/dispatch"
	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/queue"
)

func TestACallGoesToTheProviderOfItsModel(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for model, want := range map[string]string{"m": "a", "": "a", "b-1": "b", "b-/1": "b", "c-1": "c", "xb-1": "a"} {
		require.Equal(t, want, s.dispatcher.Target(limit.Ticket{Model: model}), model)
	}
	_, err := s.do(t, &dispatch.Call{Request: llm.Request{Model: "c-1", Body: []byte(`{"model":"c-1"}`)}})
	require.NoError(t, err)
	require.Equal(t, []int{0, 0, 1}, s.counts())
}

func TestTheFirstProviderTakesWhatNoneNamesEvenIfItNamesOthers(t *testing.T) {
	t.Parallel()
	d := dispatch.New(limit.New(limit.Options{}),
		dispatch.Route{Name: "x", Models: patterns(t, "x*")}, dispatch.Route{Name: "y", Models: patterns(t, "*")},
	)
	require.Equal(t, "y", d.Target(limit.Ticket{Model: "z"}))
	d = dispatch.New(limit.New(limit.Options{}),
		dispatch.Route{Name: "x", Models: patterns(t, "x*")}, dispatch.Route{Name: "y", Models: patterns(t, "y")},
	)
	require.Equal(t, "x", d.Target(limit.Ticket{Model: "z"}))
}

func TestACallWithoutAQueueGoesToTheOneThatIsAssigned(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.dispatcher.Assign(
		dispatch.Assignment{Model: patterns(t, "b-large")[0], Queue: "large"}, dispatch.Assignment{Provider: "b", Queue: "bs"},
	)
	for _, c := range []struct{ model, queue, want string }{
		{"b-large", "", "large"},
		{"b-small", "", "bs"},
		{"m", "", ""},
		{"b-large", "mine", "mine"},
		{"b-large", "default", "default"},
	} {
		got := s.dispatcher.Resolve(limit.Ticket{Model: c.model, Queue: c.queue})
		require.Equal(t, c.want, got.Queue, "%+v", c)
	}
	require.Equal(t, "b", s.dispatcher.Resolve(limit.Ticket{Model: "b-large"}).Provider)
}

func TestTheModelIsSentAsTheProviderKnowsIt(t *testing.T) {
	t.Parallel()
	s := setup(t)
	c := call(llm.Permanent)
	c.Request.Body = []byte("{ \"n\":1.0,\n\"model\" : \"m\" , \"model2\":\"m\"}")
	s.a.answer = refuses(llm.Permanent)
	response, err := s.do(t, c)
	require.NoError(t, err)
	require.Equal(t, "{ \"n\":1.0,\n\"model\" : \"b-for-m\" , \"model2\":\"m\"}", string(s.b.requests[0].Body)) //nolint:testifylint // bytes count
	require.Equal(t, "b-for-m", s.b.requests[0].Model)
	require.Equal(t, batch.Target{Provider: "b", Model: "m"}, response.Via, "in the words of requests")
	require.Equal(t, "m", c.Request.Model)
}

func TestACallFallsBackAtOnceAndSaysWhoAnswered(t *testing.T) {
	t.Parallel()
	for _, kind := range []llm.Kind{llm.Transient, llm.Throttled, llm.Exhausted, llm.Refused, llm.Unreachable, llm.Permanent} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, l, begun := setup(t), &log{}, time.Now()
				s.a.answer, s.b.answer = refuses(kind), refuses(kind)
				c := call(kind)
				c.Bounded, c.Failed = true, l.failed
				response, err := s.do(t, c)
				require.NoError(t, err)
				require.Equal(t, batch.Target{Provider: "c", Model: "c-large"}, response.Via)
				require.JSONEq(t, `{"model":"c-large","n":1.0}`, string(response.Body))
				require.Equal(t, []int{1, 1, 1}, s.counts())
				require.Equal(t, []string{"a m " + kind.String(), "b m " + kind.String()}, l.all())
				require.Zero(t, time.Since(begun))

				// The answer keeps the only place, and nobody else does.
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err = s.gate.Enter(ctx, limit.Ticket{Bounded: true})
				require.ErrorIs(t, err, context.DeadlineExceeded)
				s.gate.Release()
				_, err = s.gate.Enter(t.Context(), limit.Ticket{Bounded: true})
				require.NoError(t, err)
			})
		})
	}
}

func TestAnErrorThatIsNotNamedDoesNotFallBack(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.a.answer = refuses(llm.Permanent)
	_, err := s.do(t, call(llm.Transient, llm.Exhausted))
	require.Error(t, err)
	require.Equal(t, []int{1, 0, 0}, s.counts())

	s.a.answer, s.b.answer = refuses(llm.Transient), refuses(llm.Permanent)
	_, err = s.do(t, call(llm.Transient))
	require.EqualError(t, err, "transient: transient", "that of the first")
	require.Equal(t, []int{2, 1, 0}, s.counts())
}

func TestWhenAllFailTheErrorIsThatOfTheFirst(t *testing.T) {
	t.Parallel()
	s, l := setup(t), &log{}
	s.a.answer, s.b.answer, s.c.answer = refuses(llm.Transient), refuses(llm.Transient), refuses(llm.Permanent)
	c := call(llm.Transient)
	c.Failed, c.Bounded = l.failed, true
	for range 2 { // the place is free again
		_, err := s.do(t, c)
		require.EqualError(t, err, "transient: transient")
	}
	require.Equal(t, []int{2, 2, 2}, s.counts(), "each attempt begins with the first")
	require.Equal(t, []string{"a m transient", "b m transient", "c c-large permanent"}, l.all()[:3])
}

func TestTheSameTargetIsNotCalledTwice(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.a.answer = refuses(llm.Transient)
	c := call(llm.Transient)
	c.Fallback.Targets = []batch.Target{{Provider: "a"}, {Model: "m"}, {Provider: "a", Model: "m"}}
	_, err := s.do(t, c)
	require.Error(t, err)
	require.Equal(t, []int{1, 0, 0}, s.counts())
}

func TestAProviderThatDoesNotExistIsPassedOverAndTold(t *testing.T) {
	t.Parallel()
	s, l := setup(t), &log{}
	s.a.answer = refuses(llm.Transient)
	c := call(llm.Transient)
	c.Failed = l.failed
	c.Fallback.Targets[0].Provider = "nobody"
	response, err := s.do(t, c)
	require.NoError(t, err)
	require.Equal(t, "c", response.Via.Provider)
	require.Equal(t, []string{"a m transient", "nobody m permanent"}, l.all())
}

func TestAClosedProviderIsPassedOverWithoutWaiting(t *testing.T) {
	t.Parallel()
	for _, kind := range []llm.Kind{llm.Throttled, llm.Exhausted, llm.Refused, llm.Unreachable} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := setup(t)
				s.hold(t, kind)
				begun := time.Now()
				response, err := s.do(t, call(kind))
				require.NoError(t, err)
				require.Equal(t, "b", response.Via.Provider)
				require.Equal(t, []int{0, 1, 0}, s.counts())
				require.Zero(t, time.Since(begun))
			})
		})
	}
}

func TestACallWaitsForAProviderThatIsClosedForAnotherReason(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := setup(t)
		s.hold(t, llm.Exhausted)
		begun := time.Now()
		response, err := s.do(t, call(llm.Throttled))
		require.NoError(t, err)
		require.Zero(t, response.Via)
		require.Equal(t, []int{1, 0, 0}, s.counts())
		require.Positive(t, time.Since(begun))
	})
}

// TestAProviderThatServesAgainIsFoundAlthoughNobodyWaitsForIt is what would go
// wrong if all calls went elsewhere at once: held providers are opened by the calls
// that wait for them.
func TestAProviderThatServesAgainIsFoundAlthoughNobodyWaitsForIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := setup(t)
		s.hold(t, llm.Exhausted)
		s.a.answer = refuses(llm.Exhausted)
		for range 600 { // ten minutes
			response, err := s.do(t, call(llm.Exhausted))
			require.NoError(t, err)
			require.Equal(t, "b", response.Via.Provider)
			time.Sleep(time.Second)
		}
		probes := s.a.calls()
		require.Greater(t, probes, 5)
		require.Less(t, probes, 30, "one a minute")
		s.a.answer = nil
		for range 120 {
			_, err := s.do(t, call(llm.Exhausted))
			require.NoError(t, err)
			time.Sleep(time.Second)
		}
		require.Greater(t, s.a.calls(), probes+50)
		response, err := s.do(t, call(llm.Exhausted))
		require.NoError(t, err)
		require.Zero(t, response.Via)
	})
}

func TestWhenAllAreClosedACallWaitsForTheFirstOrWhoeverComesBack(t *testing.T) {
	t.Parallel()
	for back, want := range map[string]string{"a": "", "b": "b"} {
		t.Run(back, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := setup(t)
				for _, p := range []*provider{s.a, s.b, s.c} {
					p.answer = refuses(llm.Exhausted)
				}
				begun := time.Now()
				time.AfterFunc(10*time.Minute, map[string]*provider{"a": s.a, "b": s.b}[back].mend)
				response := s.insist(t, call(llm.Exhausted))
				require.Equal(t, want, response.Via.Provider)
				require.GreaterOrEqual(t, time.Since(begun), 10*time.Minute)
				require.LessOrEqual(t, time.Since(begun), 13*time.Minute)
				for _, n := range s.counts() {
					require.Less(t, n, 60, "nobody is hammered")
				}
			})
		})
	}
}

func TestATargetThatFailsWhileTheFirstIsClosedIsAskedLessAndLessOften(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := setup(t)
		s.hold(t, llm.Exhausted)
		s.a.answer = refuses(llm.Exhausted)
		s.b.answer, s.c.answer = refuses(llm.Transient), refuses(llm.Permanent)
		time.AfterFunc(10*time.Minute, s.b.mend)
		response := s.insist(t, call(llm.Exhausted, llm.Transient, llm.Permanent))
		require.Equal(t, "b", response.Via.Provider)
		require.Less(t, s.b.calls(), 150)
		require.Less(t, s.c.calls(), 150)
	})
}

func TestACallThatIsNotPatientIsToldWhenToComeBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := setup(t)
		s.a.answer = func(context.Context, llm.Request) error {
			return &llm.Error{Kind: llm.Throttled, RetryAfter: time.Hour}
		}
		s.b.answer, s.c.answer = refuses(llm.Permanent), refuses(llm.Transient)
		_, err := s.do(t, call(llm.Throttled, llm.Permanent))
		require.Error(t, err)
		c := call(llm.Throttled, llm.Permanent)
		c.Patience = 5 * time.Second
		_, err = s.do(t, c)
		closed, ok := errors.AsType[*limit.ClosedError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, llm.Throttled, closed.Kind)
		require.Less(t, time.Until(closed.Until), time.Minute, "c takes calls")
		require.Equal(t, []int{1, 2, 2}, s.counts())
	})
}

func TestTheEndOfStartingLeavesTheErrorOfTheFirst(t *testing.T) {
	t.Parallel()
	s := setup(t)
	starting, stop := context.WithCancel(t.Context())
	s.a.answer = func(context.Context, llm.Request) error {
		stop()
		return &llm.Error{Kind: llm.Transient}
	}
	_, err := s.dispatcher.Do(t.Context(), starting, call(llm.Transient))
	_, ok := errors.AsType[*llm.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, []int{1, 0, 0}, s.counts())
}

func TestACallIsCutOffWhereverItIs(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.a.answer = refuses(llm.Transient)
	s.b.answer = func(ctx context.Context, _ llm.Request) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	_, err := s.dispatcher.Do(ctx, ctx, call(llm.Transient))
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, []int{1, 1, 0}, s.counts())
}

// leaser grants what the test says.
type leaser struct{ grant queue.Grant }

func (l leaser) Lease(context.Context, string, queue.Request) (queue.Grant, error) {
	return l.grant, nil
}

func (l leaser) Nudges(string) (<-chan struct{}, func()) { return nil, func() {} }

// queued has calls of the default queue keep to so many permits, and fall back to c
// as the queue says.
func queued(t *testing.T, permits int64, on llm.Kind) *bundle {
	t.Helper()
	s := setup(t)
	s.gate = limit.New(limit.Options{Worker: "w", Leaser: leaser{queue.Grant{
		Lease: 1, Number: 1, Permits: permits, Requests: queue.NoLimit, Tokens: queue.NoLimit, TTL: 60_000, RenewAfter: 30_000,
		Settings: queue.Settings{
			Concurrency: max(permits, 0), Fallback: batch.Fallback{Targets: []batch.Target{{Provider: "c"}}, On: []string{on.String()}},
		},
	}}})
	s.dispatcher = dispatch.New(s.gate,
		dispatch.Route{Name: "a", Provider: s.a}, dispatch.Route{Name: "b", Provider: s.b}, dispatch.Route{Name: "c", Provider: s.c},
	)
	return s
}

func TestACallThatSaysNothingFallsBackAsItsQueueDoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := queued(t, queue.NoLimit, llm.Transient)
		defer s.gate.Close()
		s.a.answer = refuses(llm.Transient)
		for range 2 { // the first has come before the lease
			response, err := s.do(t, call())
			require.NoError(t, err)
			require.Equal(t, "c", response.Via.Provider)
		}
		response, err := s.do(t, call(llm.Transient))
		require.NoError(t, err)
		require.Equal(t, "b", response.Via.Provider, "what the call says itself holds")
	})
}

func TestCallsOfALimitedQueueFallBackAndComeBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := queued(t, 1, llm.Refused)
		defer s.gate.Close()
		s.a.answer = refuses(llm.Refused)
		for range 60 {
			response, err := s.do(t, call())
			require.NoError(t, err)
			require.Equal(t, "c", response.Via.Provider)
			time.Sleep(time.Second)
		}
		probes := s.a.calls()
		require.Greater(t, probes, 3)
		require.Less(t, probes, 15)
		s.a.answer = nil
		for range 60 {
			_, err := s.do(t, call())
			require.NoError(t, err)
			time.Sleep(time.Second)
		}
		response, err := s.do(t, call())
		require.NoError(t, err)
		require.Zero(t, response.Via)
	})
}
