package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/api"
	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/dispatch"
	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/metrics"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/price"
	"github.com/headrace/headrace/internal/queue"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/task"
)

func pattern(tb testing.TB, s string) dispatch.Pattern {
	tb.Helper()
	p, err := dispatch.ParsePattern(s)
	require.NoError(tb, err)
	return p
}

func priced(tb testing.TB) *metrics.Metrics {
	tb.Helper()
	input, err := price.ParseRate("0.15")
	require.NoError(tb, err)
	output, err := price.ParseRate("0.6")
	require.NoError(tb, err)
	return metrics.New(metrics.Options{Prices: map[string]price.Table{
		"openai": {{Models: pattern(tb, "gpt-*"), Price: price.Price{Input: input, Output: output}}},
	}})
}

var usage = openai.Usage{InputTokens: 1000, OutputTokens: 100, TotalTokens: 1100, InputTokensDetails: openai.InputTokensDetails{CachedTokens: 400}}

// call makes a call that comes to err, or answers.
func call(m *metrics.Metrics, o dispatch.Observed, err error) {
	_, w := m.Calls().Begin(context.Background(), &o)
	r := llm.Response{}
	if err == nil {
		r.Usage = usage
	}
	w.End(r, err)
}

// show returns the lines of some metrics.
func show(t *testing.T, m *metrics.Metrics, names ...string) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
	var out []string
	for line := range strings.Lines(w.Body.String()) {
		for _, name := range names {
			if strings.HasPrefix(line, name+"{") || strings.HasPrefix(line, name+" ") {
				out = append(out, strings.TrimSpace(line))
			}
		}
	}
	return strings.Join(out, "\n")
}

func TestCallsAreCountedByWhatTheyComeTo(t *testing.T) {
	t.Parallel()
	m := priced(t)
	mini := dispatch.Observed{Provider: "openai", Model: "gpt-4o-mini", Queue: "default"}
	call(m, mini, nil)
	call(m, mini, nil)
	call(m, mini, &llm.Error{Kind: llm.Throttled})
	call(m, mini, context.Canceled)
	call(m, dispatch.Observed{Queue: "q"}, nil) // an HTTP task

	shown := show(t, m, "headrace_calls_total", "headrace_tokens_total", "headrace_cost_dollars_total", "headrace_calls_in_flight", "headrace_queue_tokens_total")
	for _, line := range []string{
		`headrace_calls_total{model="gpt-4o-mini",outcome="ok",provider="openai"} 2`,
		`headrace_calls_total{model="gpt-4o-mini",outcome="throttled",provider="openai"} 1`,
		`headrace_calls_total{model="gpt-4o-mini",outcome="cut_off",provider="openai"} 1`,
		`headrace_calls_total{model="",outcome="ok",provider="http"} 1`,
		`headrace_tokens_total{model="gpt-4o-mini",provider="openai",type="input"} 2000`,
		`headrace_tokens_total{model="gpt-4o-mini",provider="openai",type="cached"} 800`,
		`headrace_cost_dollars_total{model="gpt-4o-mini",provider="openai"} 0.00042`,
		`headrace_calls_in_flight{provider="openai"} 0`,
		`headrace_queue_tokens_total{queue="default"} 2200`,
	} {
		require.Contains(t, shown, line)
	}
}

func TestModelsThatUsersMakeUpHaveNoLabels(t *testing.T) {
	t.Parallel()
	m := priced(t)
	for i := range 1000 {
		call(m, dispatch.Observed{Provider: "openai", Model: fmt.Sprintf("junk-%d", i), Queue: "default"}, &llm.Error{Kind: llm.Permanent})
	}
	for i := range 300 { // those that serve have, up to a bound
		call(m, dispatch.Observed{Provider: "openai", Model: fmt.Sprintf("gpt-%d", i), Queue: fmt.Sprintf("q-%d", i)}, nil)
	}
	shown := show(t, m, "headrace_calls_total")
	require.Contains(t, shown, `headrace_calls_total{model="other",outcome="permanent",provider="openai"} 1000`)
	require.Contains(t, shown, `headrace_calls_total{model="other",outcome="ok",provider="openai"} 200`)
	require.NotContains(t, shown, "junk")
	n, err := testutil.GatherAndCount(m.Gatherer(), "headrace_queue_calls_total")
	require.NoError(t, err)
	require.Equal(t, 101, n, "100 queues and other")
	require.Contains(t, show(t, m, "headrace_cost_dollars_total"), `headrace_cost_dollars_total{model="other",provider="openai"} 0.042`,
		"what they cost is known all the same")
}

// gate is one whose report is scripted.
type gate limit.Report

// Report implements what Metrics.Gate asks.
func (g gate) Report() limit.Report { return limit.Report(g) }

func standing() gate {
	return gate{Bound: 512, Room: 500, Queues: []limit.QueueReport{
		{
			Name: "bulk", Settings: queue.Settings{Concurrency: 10, RPM: 600, TPM: 1000, Paused: true}, InFlight: queue.Counts{Interactive: 1, Batch: 2},
			Waiting: map[batch.Reason]int64{batch.RequestLimit: 7, limit.WaitProcess: 1}, Oldest: 3 * time.Second,
			Permits: 4, Leased: true, Age: time.Second,
			Providers: []limit.ProviderReport{{Name: "openai", State: limit.State{Kind: llm.Refused, Since: time.Now().Add(-time.Minute)}}},
		},
		{Name: "free", Permits: queue.NoLimit, Leased: true, Waiting: map[batch.Reason]int64{}},
	}}
}

func TestAGateIsAskedHowItStands(t *testing.T) {
	t.Parallel()
	m := priced(t)
	m.Gate(standing())
	shown := show(t, m, "headrace_queue_waiting", "headrace_queue_limit", "headrace_queue_permits", "headrace_queue_in_flight",
		"headrace_queue_paused", "headrace_provider_closed_seconds", "headrace_task_slots_used", "headrace_queue_lease_age_seconds")
	for _, line := range []string{
		`headrace_queue_waiting{queue="bulk",reason="request_limit"} 7`, `headrace_queue_waiting{queue="bulk",reason="process_full"} 1`,
		`headrace_queue_limit{limit="tokens_per_minute",queue="bulk"} 1000`, `headrace_queue_permits{queue="bulk"} 4`,
		`headrace_queue_in_flight{class="batch",queue="bulk"} 2`, `headrace_queue_paused{queue="bulk"} 1`, `headrace_queue_paused{queue="free"} 0`,
		`headrace_provider_closed_seconds{provider="openai",reason="`, `headrace_task_slots_used 12`, `headrace_queue_lease_age_seconds{queue="bulk"} 1`,
	} {
		require.Contains(t, shown, line)
	}
	require.NotContains(t, shown, `permits{queue="free"}`)
	require.NotContains(t, shown, `limit="concurrency",queue="free"`)
}

func TestQueuesBeyondABoundAreOne(t *testing.T) {
	t.Parallel()
	m, g := priced(t), gate{}
	for i := range 150 {
		g.Queues = append(g.Queues, limit.QueueReport{
			Name: fmt.Sprintf("q%03d", i), Waiting: map[batch.Reason]int64{limit.WaitTurn: int64(i)}, Permits: queue.NoLimit,
		})
	}
	m.Gate(g)
	shown := show(t, m, "headrace_queue_waiting")
	require.Contains(t, shown, `headrace_queue_waiting{queue="q149",reason="turn"} 149`)
	require.Contains(t, shown, `headrace_queue_waiting{queue="other",reason="turn"} 1225`, "the least busy")
	require.NotContains(t, shown, "q049")
}

// temporal answers about task queues.
type temporal struct{ err error }

// DescribeTaskQueue implements metrics.Describer.
func (f *temporal) DescribeTaskQueue(
	_ context.Context, in *workflowservice.DescribeTaskQueueRequest, _ ...grpc.CallOption,
) (*workflowservice.DescribeTaskQueueResponse, error) {
	if f.err != nil || !in.GetReportStats() || in.GetNamespace() != "ns" {
		return nil, errors.Join(f.err, errors.New("no answer"))
	}
	return &workflowservice.DescribeTaskQueueResponse{
		Pollers: []*taskqueue.PollerInfo{{Identity: "1@a"}, {Identity: "1@a"}, {Identity: "2@b"}},
		Stats:   &taskqueue.TaskQueueStats{ApproximateBacklogCount: 17, ApproximateBacklogAge: durationpb.New(1500 * time.Millisecond)},
	}, nil
}

func TestTheBacklogIsWhatTemporalSays(t *testing.T) {
	t.Parallel()
	m := priced(t)
	m.Backlog(&temporal{}, "ns")
	shown := show(t, m, "headrace_backlog_tasks", "headrace_backlog_age_seconds", "headrace_workers", "headrace_temporal_up")
	require.Contains(t, shown, `headrace_backlog_tasks{task_queue="headrace",type="workflow"} 17`)
	require.Contains(t, shown, `headrace_backlog_age_seconds{task_queue="headrace-webhooks",type="activity"} 1.5`)
	require.Contains(t, shown, `headrace_workers{task_queue="headrace",type="activity"} 2`)
	require.Contains(t, shown, "headrace_temporal_up 1")

	away := priced(t)
	away.Backlog(&temporal{err: errors.New("away")}, "ns")
	shown = show(t, away, "headrace_backlog_tasks", "headrace_temporal_up")
	require.Equal(t, "headrace_temporal_up 0", shown, "nothing is told of what is not known")
}

func TestRequestsAreCountedByRoute(t *testing.T) {
	t.Parallel()
	m := priced(t)
	for _, method := range []string{http.MethodGet, "BREW"} {
		_, end := m.Requests().Begin(httptest.NewRequestWithContext(t.Context(), method, "/v1/tasks/task_1", nil), "/v1/tasks/:id")
		end(http.StatusNotFound)
	}
	shown := show(t, m, "headrace_http_requests_total", "headrace_http_requests_in_flight")
	require.Contains(t, shown, `headrace_http_requests_total{method="GET",route="/v1/tasks/:id",status="404"} 1`)
	require.Contains(t, shown, `headrace_http_requests_total{method="other",route="/v1/tasks/:id",status="404"} 1`)
	require.Contains(t, shown, "headrace_http_requests_in_flight 0")
}

// leaser answers with err.
type leaser struct{ err error }

// Lease implements limit.Leaser.
func (l leaser) Lease(context.Context, string, queue.Request) (queue.Grant, error) {
	return queue.Grant{}, l.err
}

// Nudges implements limit.Leaser.
func (l leaser) Nudges(string) (<-chan struct{}, func()) { return nil, func() {} }

func TestLeasesThatFailAreCounted(t *testing.T) {
	t.Parallel()
	m := priced(t)
	_, err := m.Leaser(leaser{}).Lease(t.Context(), "q", queue.Request{})
	require.NoError(t, err)
	_, err = m.Leaser(leaser{errors.New("away")}).Lease(t.Context(), "q", queue.Request{})
	require.EqualError(t, err, "away")
	shown := show(t, m, "headrace_lease_failures_total", "headrace_lease_request_duration_seconds_count")
	require.Equal(t, "headrace_lease_failures_total 1\nheadrace_lease_request_duration_seconds_count 2", shown)
}

func TestTheSDKsMetricsHaveFewLabels(t *testing.T) {
	t.Parallel()
	m := priced(t)
	h := m.SDK().WithTags(map[string]string{"namespace": "default", "task_queue": "headrace-q3k", "workflow_type": "none"})
	h.Counter("temporal_request").Inc(2)
	h.WithTags(map[string]string{"task_queue": "headrace-webhooks", "unheard_of": "x"}).Counter("temporal_request").Inc(3)
	h.Gauge("temporal_num_pollers").Update(4)
	h.Timer("temporal_request_latency").Record(time.Second)
	shown := show(t, m, "temporal_request_total", "temporal_num_pollers", "temporal_request_latency_seconds_sum")
	require.Contains(t, shown, `task_queue="host",worker_type="",workflow_type=""} 2`)
	require.Contains(t, shown, `task_queue="headrace-webhooks",worker_type="",workflow_type=""} 3`)
	require.NotContains(t, shown, "unheard_of")
	require.Contains(t, shown, "temporal_num_pollers{")
	require.Contains(t, shown, "temporal_request_latency_seconds_sum{")
}

// everything returns metrics in which everything has happened once.
func everything(t *testing.T) *metrics.Metrics {
	t.Helper()
	m := priced(t)
	m.Gate(standing())
	m.Backlog(&temporal{}, "ns")
	m.Followers(func() int { return 1 })
	o := dispatch.Observed{Provider: "openai", Model: "gpt-4o-mini", Queue: "bulk"}
	_, w := m.Calls().Begin(t.Context(), &o)
	w.First()
	w.End(llm.Response{Usage: usage}, nil)
	_, end := m.Requests().Begin(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), "/")
	end(http.StatusOK)
	m.Accepted(api.AcceptedBatch, 1)
	m.Accepted(api.AcceptedTask, 1)
	m.Activities().BatchEnded(openai.Completed, time.Second)
	m.Activities().Delivered(activities.DeliveryAccepted)
	m.Activities().Retried(llm.Transient)
	finished := int64(7)
	m.TaskEnded(&task.Object{Status: task.Completed, CreatedAt: 5, FinishedAt: &finished})
	m.StoreOperation(store.Write, "x.seg", time.Millisecond, nil)
	m.StoreOperation(store.Read, "x.seg", time.Millisecond, errors.New("away"))
	return m
}

func TestNamesKeepToTheConventionsOfPrometheus(t *testing.T) {
	t.Parallel()
	problems, err := testutil.GatherAndLint(everything(t).Gatherer())
	require.NoError(t, err)
	require.Empty(t, problems)
}

// BenchmarkCall is what measuring costs a call.
func BenchmarkCall(b *testing.B) {
	m := priced(b)
	o := dispatch.Observed{Provider: "openai", Model: "gpt-4o-mini", Queue: "bulk"}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, w := m.Calls().Begin(b.Context(), &o)
			w.End(llm.Response{Usage: usage}, nil)
		}
	})
}
