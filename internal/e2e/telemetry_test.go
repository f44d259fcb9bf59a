package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/headrace/internal/simulator"
)

// spans is a receiver of OTLP over HTTP.
type spans struct {
	*httptest.Server

	mu  sync.Mutex
	all []*tracepb.Span
}

func newSpans(t *testing.T) *spans {
	t.Helper()
	s := &spans{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var in collector.ExportTraceServiceRequest
		if proto.Unmarshal(body, &in) != nil {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, resource := range in.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				s.all = append(s.all, scope.GetSpans()...)
			}
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// chain is the names of a span and of those above it that were received.
func (s *spans) chain(name string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	byID := map[string]*tracepb.Span{}
	var at *tracepb.Span
	for _, span := range s.all {
		byID[string(span.GetSpanId())] = span
		if span.GetName() == name {
			at = span
		}
	}
	var names []string
	for ; at != nil; at = byID[string(at.GetParentSpanId())] {
		names = append(names, at.GetName())
	}
	return names
}

func (s *spans) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprint(s.all)
}

// fetch gets a URL, whatever it answers.
func fetch(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.Get(url)
	require.NoError(t, err)
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return r.StatusCode, string(body)
}

// observed is all of headrace with its metrics on a free port and its log as JSON.
func observed(t *testing.T, upstream string, env ...string) (*process, *system, string) {
	t.Helper()
	env = append(env, "HEADRACE_TELEMETRY_LISTEN=127.0.0.1:0", "HEADRACE_TELEMETRY_LOG_LEVEL=info", "HEADRACE_TELEMETRY_LOG_FORMAT=json")
	p := start(t, env, "dev", "--listen", "127.0.0.1:0", "--temporal-port", "0", "--ui-port", "0", "--data", t.TempDir(), "--upstream", upstream)
	url := p.await(p.stdout, `API (http://\S+)/v1`)
	return p, &system{url: url}, p.await(p.stdout, `metrics (http://\S+)/metrics`)
}

// TestWhatHappensIsMeasuredTracedAndLogged follows a call, a stream and a batch from
// the request to the provider, and looks for what must be nowhere.
func TestWhatHappensIsMeasuredTracedAndLogged(t *testing.T) {
	t.Parallel()
	up, receiver := sim(t, simulator.Options{}), newSpans(t)
	p, s, telemetry := observed(t, up.URL(), "HEADRACE_TELEMETRY_TRACES_ENDPOINT="+receiver.URL)
	const secret = "Nobody else may read this"
	const trace = "0af7651916cd43dd8448eb211c80319c"
	r := s.send(t, http.MethodPost, "/v1/chat/completions", chatBody(secret, ""), "Traceparent: 00-"+trace+"-b7ad6b7169203331-01")
	require.Equal(t, http.StatusOK, r.status)
	require.Equal(t, http.StatusOK, s.send(t, http.MethodPost, "/v1/chat/completions", chatBody(secret, `,"stream":true`)).status)
	require.Equal(t, "completed", s.process(t, request("a", secret, "")+"\n"+request("b", secret, `,"user":"sim:status=400"`)+"\n")["status"])

	code, ready := fetch(t, telemetry+"/readyz")
	require.Equal(t, http.StatusOK, code, ready)
	_, metrics := fetch(t, telemetry+"/metrics")
	for _, line := range []string{
		`outcome="ok",provider="` + up.URL(), `outcome="permanent",provider="` + up.URL(),
		`headrace_batches_accepted_total 1`, `headrace_batches_ended_total{status="completed"} 1`, `headrace_tasks_accepted_total 2`,
		`headrace_tasks_ended_total{status="completed"} 2`, `headrace_http_requests_total{method="POST",route="/v1/batches",status="200"} 1`,
		`headrace_call_first_event_seconds_count{`, `headrace_workers{task_queue="headrace",type="activity"} 1`, `headrace_temporal_up 1`,
		`temporal_request_total{`, `headrace_lease_request_duration_seconds_count`, `headrace_store_failures_total{operation="write"} 0`,
	} {
		require.Contains(t, metrics, line)
	}
	eventually(t, func() bool { return strings.Contains(p.stderr.String(), `"msg":"batch ended"`) }, "the end is not logged")
	require.Contains(t, p.stderr.String(), `"msg":"batch begun"`)

	p.signal(syscall.SIGTERM)
	require.Equal(t, 0, p.wait())
	call := receiver.chain("chat gpt-4o-mini")
	require.Equal(t, []string{"chat gpt-4o-mini", "POST /v1/chat/completions"}, call)
	require.Equal(t, []string{
		"RunActivity:Work", "StartActivity:Work", "RunWorkflow:Batch", "StartWorkflow:Batch", "POST /v1/batches",
	}, receiver.chain("RunActivity:Work"))
	require.Equal(t, []string{"RunWorkflow:Task", "StartWorkflow:Task", "POST /v1/chat/completions"}, receiver.chain("RunWorkflow:Task"))
	for what, text := range map[string]string{"metrics": metrics, "log": p.stderr.String(), "spans": receiver.text()} {
		require.NotContains(t, text, secret, what)
	}
	receiver.mu.Lock()
	defer receiver.mu.Unlock()
	require.True(t, slices.ContainsFunc(receiver.all, func(s *tracepb.Span) bool {
		return fmt.Sprintf("%x", s.GetTraceId()) == trace && s.GetName() == "chat gpt-4o-mini"
	}), "the caller's trace goes on")
	for _, s := range receiver.all {
		require.NotContains(t, s.GetName(), "Update", "leases have no spans")
	}
}

// TestAProviderThatRefusesTheKeyIsSeen looks at the metrics and the log of a process
// whose calls wait.
func TestAProviderThatRefusesTheKeyIsSeen(t *testing.T) {
	t.Parallel()
	refuse := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	defer refuse.Close()
	p, s, telemetry := observed(t, refuse.URL+"/v1")
	s.addID(t, chatTask(chatBody("Quiet", ""), ""))
	eventually(t, func() bool {
		_, metrics := fetch(t, telemetry+"/metrics")
		return strings.Contains(metrics, `headrace_provider_closed_seconds{provider="`+refuse.URL) &&
			strings.Contains(metrics, `headrace_call_retries_total{reason="refused"}`)
	}, "nobody sees that the provider is closed")
	require.Equal(t, 1, strings.Count(p.stderr.String(), `"msg":"provider takes no calls"`), "once, not for each probe")
	require.Contains(t, p.stderr.String(), `"reason":"refused"`)
}

// TestAWorkerIsNotReadyWhileTemporalIsAway asks the worker's own probes.
func TestAWorkerIsNotReadyWhileTemporalIsAway(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	host, address := devTemporal(t, t.TempDir(), freePort(t), up.URL())
	w := start(t, []string{"HEADRACE_TELEMETRY_LISTEN=127.0.0.1:0"}, "worker", "--temporal", address, "--store", t.TempDir(), "--upstream", up.URL())
	telemetry := w.await(w.stdout, `metrics (http://\S+)/metrics`)
	code, ready := fetch(t, telemetry+"/readyz")
	require.Equal(t, http.StatusOK, code, ready)
	host.kill()
	eventually(t, func() bool {
		code, ready = fetch(t, telemetry+"/readyz")
		return code == http.StatusServiceUnavailable
	}, "the worker stays ready")
	require.True(t, strings.HasPrefix(ready, "temporal: "), ready)
	code, _ = fetch(t, telemetry+"/livez")
	require.Equal(t, http.StatusOK, code)
}
