package runner_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/dispatch"
	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/record"
	"github.com/headrace/headrace/internal/runner"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// provider is scripted: answer says what the n-th call of a body comes to, from
// 1.
type provider struct {
	llm.Streamer

	answer func(ctx context.Context, body string, n int) (llm.Response, error)

	mu       sync.Mutex
	calls    map[string]int
	order    []string
	inFlight atomic.Int64
	peak     atomic.Int64
}

func (p *provider) Call(ctx context.Context, r llm.Request) (llm.Response, error) {
	body := string(r.Body)
	p.mu.Lock()
	p.calls[body]++
	p.order = append(p.order, body)
	n := p.calls[body]
	p.mu.Unlock()
	p.peak.Store(max(p.peak.Load(), p.inFlight.Add(1)))
	defer p.inFlight.Add(-1)
	if p.answer == nil {
		return llm.Response{Status: 200, Header: http.Header{"X-Request-Id": {"req_1"}}, Body: []byte(body + "\n")}, nil
	}
	return p.answer(ctx, body, n)
}

func (p *provider) count(body string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[body]
}

// testBundle is a runner over a store and a scripted provider.
type testBundle struct {
	store    *store.Store
	provider *provider
	part     task.Part
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	s, err := store.Open(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return &testBundle{
		store: s, provider: &provider{calls: map[string]int{}}, part: task.Part{Project: "default", Group: task.NewGroup()},
	}
}

// dispatcher makes so many calls of tasks at once.
func (b *testBundle) dispatcher(bound int) *dispatch.Dispatcher {
	return dispatch.New(limit.New(limit.Options{Bound: bound}), dispatch.Route{Name: "provider", Provider: b.provider})
}

func (b *testBundle) runner(t *testing.T, change func(*runner.Options)) *runner.Runner {
	t.Helper()
	o := runner.Options{
		Store: b.store, Dispatcher: b.dispatcher(8),
		Backoff: llm.Backoff{Base: time.Millisecond, Max: 2 * time.Millisecond},
	}
	if change != nil {
		change(&o)
	}
	r := runner.New(o)
	t.Cleanup(r.Close)
	return r
}

// work is n tasks whose bodies are "0", "1" and so on.
func (b *testBundle) work(n int, change func(*task.Item)) task.Work {
	w := task.Work{Part: b.part, Created: task.Now()}
	for i := range n {
		item := task.Item{N: i, Spec: task.Spec{URL: "/v1/chat/completions", Body: fmt.Sprint(i)}}
		if change != nil {
			change(&item)
		}
		w.Items = append(w.Items, item)
	}
	return w
}

func (b *testBundle) do(t *testing.T, r *runner.Runner, w task.Work) task.Report {
	t.Helper()
	run, err := r.Begin(t.Context(), w)
	require.NoError(t, err)
	defer run.Leave()
	select {
	case <-run.Done():
	case <-time.After(time.Minute):
		require.Fail(t, "the run does not end")
	}
	return run.Report()
}

func (b *testBundle) find(t *testing.T, n int) task.Object {
	t.Helper()
	o, err := record.Find(t.Context(), b.store, b.part.Project, b.part.ID(n))
	require.NoError(t, err)
	return o
}

func TestTasksAreCalledKeptAndReadBackByteForByte(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.runner(t, nil)
	require.Equal(t, task.Report{}, b.do(t, r, b.work(50, nil)))
	for n := range 50 {
		o := b.find(t, n)
		require.Equal(t, task.Completed, o.Status)
		require.Equal(t, fmt.Sprintf("%d\n", n), string(o.Result.Body))
		require.Equal(t, map[string]string{"x-request-id": "req_1"}, o.Result.Headers)
		require.Len(t, o.Attempts, 1)
	}
	require.LessOrEqual(t, b.provider.peak.Load(), int64(8))
}

func TestATaskWithAResultIsNotCalledAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := b.work(3, nil)
	only := w
	only.Items = w.Items[:2]
	b.do(t, b.runner(t, nil), only)
	require.Equal(t, task.Report{}, b.do(t, b.runner(t, nil), w), "as after a crash")
	for n := range 3 {
		require.Equal(t, 1, b.provider.count(fmt.Sprint(n)))
	}
}

func TestOfTwoWorkersTheFirstResultCounts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var n atomic.Int64
	both := make(chan struct{})
	b.provider.answer = func(context.Context, string, int) (llm.Response, error) {
		mine := n.Add(1)
		if mine == 2 {
			close(both)
		}
		<-both
		return llm.Response{Status: 200, Body: fmt.Append(nil, mine)}, nil
	}
	first, second := b.runner(t, nil), b.runner(t, nil)
	var all sync.WaitGroup
	for _, r := range []*runner.Runner{first, second} {
		all.Go(func() { b.do(t, r, b.work(1, nil)) })
	}
	all.Wait()
	one := b.find(t, 0)
	for range 10 {
		require.Equal(t, one, b.find(t, 0))
	}
	kept, next, err := record.Load(t.Context(), b.store, b.part)
	require.NoError(t, err)
	require.Len(t, kept, 1)
	require.Equal(t, 1, next, "the one that lost wrote nothing")
}

func TestTransientErrorsAreTriedAgainAndEachAttemptIsToldOf(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.provider.answer = func(_ context.Context, _ string, n int) (llm.Response, error) {
		if n < 3 {
			return llm.Response{}, &llm.Error{Kind: llm.Transient, Status: 500, Message: "oops"}
		}
		return llm.Response{Status: 200, Body: []byte(`{}`)}, nil
	}
	b.do(t, b.runner(t, nil), b.work(1, nil))
	o := b.find(t, 0)
	require.Equal(t, task.Completed, o.Status)
	require.Len(t, o.Attempts, 3)
	require.Equal(t, &task.AttemptError{Kind: "transient", StatusCode: 500, Message: "oops"}, o.Attempts[0].Error)
	require.Nil(t, o.Attempts[2].Error)
}

func TestTheLastAttemptsErrorIsTheTasks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.provider.answer = func(context.Context, string, int) (llm.Response, error) {
		return llm.Response{}, &llm.Error{Kind: llm.Transient, Status: 500, Code: "oops", Message: "no", Body: []byte("<html>")}
	}
	report := b.do(t, b.runner(t, nil), b.work(1, func(i *task.Item) { i.MaxAttempts = 2 }))
	require.Equal(t, 1, report.Failed)
	o := b.find(t, 0)
	require.Equal(t, task.Failed, o.Status)
	require.Equal(t, &task.Error{Code: "oops", Message: "no"}, o.Error)
	require.Equal(t, 500, o.Result.StatusCode)
	require.Equal(t, "<html>", string(o.Result.Body))
	require.Equal(t, 2, b.provider.count("0"))
}

func TestATaskThatWaitsForLongIsHandedBackAndGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.provider.answer = func(_ context.Context, _ string, n int) (llm.Response, error) {
		if n == 1 {
			return llm.Response{}, &llm.Error{Kind: llm.Transient, Status: 503, RetryAfter: time.Hour}
		}
		return llm.Response{}, &llm.Error{Kind: llm.Transient, Status: 500}
	}
	r := b.runner(t, nil)
	w := b.work(1, func(i *task.Item) { i.MaxAttempts = 3 })
	report := b.do(t, r, w)
	require.Len(t, report.Again, 1)
	require.InDelta(t, time.Now().Add(time.Hour).UnixMilli(), int64(report.Again[0].At), 30_000)
	require.Equal(t, 1, report.Again[0].Tries)
	w.Earlier = report.Again
	require.Equal(t, task.Report{Failed: 1}, b.do(t, r, w))
	require.Equal(t, 3, b.provider.count("0"), "the attempt before counts")
	require.Len(t, b.find(t, 0).Attempts, 3)
}

func TestATaskIsHandedBackUntilTheProviderCanBeUsed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	d := b.dispatcher(8)
	pass, err := d.Gate().Enter(t.Context(), limit.Ticket{Provider: "provider"})
	require.NoError(t, err)
	d.Gate().Leave(&pass, &llm.Error{Kind: llm.Throttled, RetryAfter: time.Hour, Message: "slow down"}, openai.Usage{})
	begun := time.Now()
	report := b.do(t, b.runner(t, func(o *runner.Options) { o.Dispatcher = d }), b.work(2, nil))
	require.Less(t, time.Since(begun), 4*time.Second, "nobody waits for an hour's pause to end")
	require.Len(t, report.Again, 2)
	require.InDelta(t, begun.Add(time.Hour).UnixMilli(), int64(report.Again[0].At), 30_000)
	require.Equal(t, batch.RateLimited, report.Again[0].WaitingOn.Reason)
	require.Zero(t, report.Again[0].Tries)
	require.Zero(t, b.provider.count("0"))
}

func TestACancelledTaskIsCutOffAndTheOthersAreNot(t *testing.T) {
	t.Parallel()
	b := setup(t)
	cut, let := make(chan struct{}), make(chan struct{})
	b.provider.answer = func(ctx context.Context, body string, _ int) (llm.Response, error) {
		if body == "1" {
			<-ctx.Done()
			close(cut)
			return llm.Response{}, ctx.Err()
		}
		<-let
		return llm.Response{Status: 200, Body: []byte("{}")}, nil
	}
	r := b.runner(t, nil)
	run, err := r.Begin(t.Context(), b.work(2, nil))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return b.provider.inFlight.Load() == 2 }, time.Minute, time.Millisecond)
	r.Cancel("default", b.part.ID(1))
	<-cut
	close(let)
	<-run.Done()
	require.Equal(t, task.Report{Cancelled: 1}, run.Report())
	require.Equal(t, task.Cancelled, b.find(t, 1).Status)
	require.Equal(t, task.CodeCancelled, b.find(t, 1).Error.Code)
	require.Equal(t, task.Completed, b.find(t, 0).Status)
}

func TestADeadlineEndsATask(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.provider.answer = func(ctx context.Context, _ string, _ int) (llm.Response, error) {
		<-ctx.Done()
		return llm.Response{}, ctx.Err()
	}
	report := b.do(t, b.runner(t, nil), b.work(1, func(i *task.Item) {
		i.Deadline = task.MillisOf(time.Now().Add(50 * time.Millisecond))
	}))
	require.Equal(t, 1, report.Failed)
	require.Equal(t, task.CodeDeadline, b.find(t, 0).Error.Code)
}

func TestHigherPrioritiesGoFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	let := make(chan struct{})
	b.provider.answer = func(context.Context, string, int) (llm.Response, error) {
		<-let
		return llm.Response{Status: 200, Body: []byte("{}")}, nil
	}
	r := b.runner(t, func(o *runner.Options) { o.Dispatcher = b.dispatcher(1) })
	run, err := r.Begin(t.Context(), b.work(1, nil))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return b.provider.inFlight.Load() == 1 }, time.Minute, time.Millisecond)
	b.part.Group = task.NewGroup()
	second, err := r.Begin(t.Context(), b.work(9, func(i *task.Item) { i.Priority, i.Body = i.N, fmt.Sprint("p", i.N) }))
	require.NoError(t, err)
	time.Sleep(50 * time.Millisecond) // all nine wait for the one permit
	close(let)
	<-run.Done()
	<-second.Done()
	require.Equal(t, []string{"0", "p8", "p7", "p6", "p5", "p4", "p3", "p2", "p1", "p0"}, b.provider.order)
}

func TestAStoppedRunnerFinishesCallsInFlightAndStartsNone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	let := make(chan struct{})
	b.provider.answer = func(context.Context, string, int) (llm.Response, error) {
		<-let
		return llm.Response{Status: 200, Body: []byte("{}")}, nil
	}
	r := b.runner(t, func(o *runner.Options) { o.Dispatcher = b.dispatcher(2) })
	run, err := r.Begin(t.Context(), b.work(5, nil))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return b.provider.inFlight.Load() == 2 }, time.Minute, time.Millisecond)
	r.Stop()
	close(let)
	<-run.Done()
	require.True(t, run.Report().Unfinished)
	kept, _, err := record.Load(t.Context(), b.store, b.part)
	require.NoError(t, err)
	require.Len(t, kept, 2)
	require.Len(t, b.provider.order, 2)
}

func TestWhoeverJoinsARunWaitsForTheSameCalls(t *testing.T) {
	t.Parallel()
	b := setup(t)
	let := make(chan struct{})
	b.provider.answer = func(context.Context, string, int) (llm.Response, error) {
		<-let
		return llm.Response{Status: 200, Body: []byte("{}")}, nil
	}
	r := b.runner(t, nil)
	first, err := r.Begin(t.Context(), b.work(3, nil))
	require.NoError(t, err)
	first.Leave()
	second, err := r.Begin(t.Context(), b.work(3, nil))
	require.NoError(t, err)
	require.Same(t, first, second)
	o, ok := r.Get("default", b.part.ID(1))
	require.True(t, ok)
	require.False(t, o.Status.Final())
	spec, ok := r.Spec("default", b.part.ID(1))
	require.True(t, ok)
	require.Equal(t, b.work(3, nil).Items[1].Spec, spec)
	_, ok = r.Spec("other", b.part.ID(1))
	require.False(t, ok)
	close(let)
	<-second.Done()
	second.Leave()
	require.Len(t, b.provider.order, 3)
	_, ok = r.Get("default", b.part.ID(1))
	require.False(t, ok)
	_, ok = r.Spec("default", b.part.ID(1))
	require.False(t, ok)
}

func TestATaskWithAWebhookIsNotDoneBeforeTheDeliveryIsArranged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	told := make(chan task.Object)
	r := b.runner(t, func(o *runner.Options) {
		o.Notify = func(_ context.Context, project string, o task.Object) error {
			if project == "default" {
				told <- o
			}
			return nil
		}
	})
	run, err := r.Begin(t.Context(), b.work(1, func(i *task.Item) { i.Webhook = "https://example.com/hook" }))
	require.NoError(t, err)
	o := <-told
	require.Equal(t, "https://example.com/hook", *o.Webhook)
	require.Equal(t, task.Completed, o.Status)
	<-run.Done()
}

func TestAGroupThatIsInTheStoreRunsPartByPart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var specs []task.Spec
	for _, item := range b.work(task.PartSize+3, nil).Items {
		specs = append(specs, item.Spec)
	}
	require.NoError(t, record.PutInput(t.Context(), b.store, "default", b.part.Group, specs))
	b.part.Number = 1
	b.do(t, b.runner(t, nil), task.Work{Part: b.part, Created: task.Now()})
	require.Len(t, b.provider.order, 3)
	require.Equal(t, fmt.Sprintf("%d\n", task.PartSize+2), string(b.find(t, task.PartSize+2).Result.Body))
}
