package trace_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/headrace/internal/dispatch"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/trace"
	"github.com/headrace/headrace/workflows"
)

func tracing(t *testing.T, o trace.Options) (*trace.Tracing, *tracetest.InMemoryExporter) {
	t.Helper()
	memory := tracetest.NewInMemoryExporter()
	o.Exporter = memory
	tr, err := trace.New(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tr.Close(context.WithoutCancel(t.Context()))) })
	return tr, memory
}

// request is the span of a request to the API, in a context.
func request(t *testing.T, tr *trace.Tracing, route, traceparent string) (context.Context, func(int)) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	if traceparent != "" {
		r.Header.Set("Traceparent", traceparent)
	}
	r, end := tr.Requests().Begin(r, route)
	return r.Context(), end
}

func attributes(s tracetest.SpanStub) map[string]any {
	all := map[string]any{}
	for _, a := range s.Attributes {
		all[string(a.Key)] = a.Value.AsInterface()
	}
	return all
}

func observed() *dispatch.Observed {
	return &dispatch.Observed{
		Provider: "openai", Model: "gpt-4o-mini", Endpoint: openai.ChatCompletions, Queue: "default", Project: "p", Attempt: 2,
	}
}

const (
	secretPrompt = "what nobody else may read"
	remote       = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
)

func TestATraceGoesFromTheRequestToTheProvider(t *testing.T) {
	t.Parallel()
	tr, memory := tracing(t, trace.Options{})
	ctx, end := request(t, tr, "/v1/tasks", remote)
	parent := tr.Parent(ctx)
	end(http.StatusAccepted)

	// Elsewhere, and later.
	later := tr.Resume(t.Context(), parent)
	_, w := tr.Calls().Begin(later, observed())
	w.First()
	w.End(llm.Response{
		Status: 200, Body: []byte(`{"model":"gpt-4o-mini-2024-07-18","choices":["` + secretPrompt + `"]}`),
		Usage: openai.Usage{InputTokens: 10, OutputTokens: 5, TotalTokens: 15},
	}, nil)

	spans := memory.GetSpans()
	require.Len(t, spans, 2)
	server, call := spans[0], spans[1]
	require.Equal(t, "POST /v1/tasks", server.Name)
	require.Equal(t, "0af7651916cd43dd8448eb211c80319c", server.SpanContext.TraceID().String())
	require.Equal(t, "b7ad6b7169203331", server.Parent.SpanID().String(), "the caller's span")
	require.Equal(t, map[string]any{"http.request.method": "POST", "http.route": "/v1/tasks", "http.response.status_code": int64(202)}, attributes(server))
	require.Equal(t, "chat gpt-4o-mini", call.Name)
	require.Equal(t, server.SpanContext.SpanID(), call.Parent.SpanID())
	require.Equal(t, map[string]any{
		"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini",
		"gen_ai.response.model": "gpt-4o-mini-2024-07-18", "gen_ai.usage.input_tokens": int64(10), "gen_ai.usage.output_tokens": int64(5),
		"gen_ai.usage.cache_read.input_tokens": int64(0), "http.response.status_code": int64(200), "http.request.resend_count": int64(2),
		"headrace.queue": "default", "headrace.project": "p",
	}, attributes(call), "and nothing of what was asked or answered")
	require.Equal(t, "first event", call.Events[0].Name)
	require.Contains(t, call.Resource.Attributes(), attribute.String("service.name", "headrace"))
}

func TestAFailedCallSaysWhyButNotInTheProvidersWords(t *testing.T) {
	t.Parallel()
	tr, memory := tracing(t, trace.Options{})
	ctx, end := request(t, tr, "/v1/tasks", "")
	_, w := tr.Calls().Begin(ctx, observed())
	w.End(llm.Response{}, &llm.Error{Kind: llm.Throttled, Status: 429, Message: secretPrompt, Body: []byte(secretPrompt)})
	_, w = tr.Calls().Begin(ctx, observed())
	w.End(llm.Response{}, context.Canceled)
	end(http.StatusInternalServerError)
	spans := memory.GetSpans()
	require.Len(t, spans, 3)
	require.Equal(t, "throttled", attributes(spans[0])["error.type"])
	require.Equal(t, int64(429), attributes(spans[0])["http.response.status_code"])
	require.Equal(t, codes.Error, spans[0].Status.Code)
	require.Equal(t, "throttled", spans[0].Status.Description)
	require.Equal(t, "cut_off", attributes(spans[1])["error.type"])
	require.Equal(t, "500", attributes(spans[2])["error.type"])
	for _, s := range spans {
		require.NotContains(t, s.Status.Description, secretPrompt)
		require.Empty(t, s.Events)
	}
}

func TestNothingIsTracedThatNoRequestHasAskedFor(t *testing.T) {
	t.Parallel()
	tr, memory := tracing(t, trace.Options{})
	_, w := tr.Calls().Begin(t.Context(), observed()) // of a task whose request was not kept
	w.First()
	w.End(llm.Response{}, nil)
	_, end := request(t, tr, "/readyz", remote)
	end(http.StatusOK)
	require.Empty(t, tr.Parent(t.Context()))

	ctx, end := request(t, tr, "/v1/tasks", remote[:len(remote)-1]+"0")
	require.Empty(t, tr.Parent(ctx), "the caller does not keep its trace")
	end(http.StatusOK)
	require.Empty(t, memory.GetSpans())
}

func TestAShareOfRequestsIsKeptAndAllThatComeWithATrace(t *testing.T) {
	t.Parallel()
	const n = 2000
	tr, memory := tracing(t, trace.Options{Sample: 0.5})
	for range n {
		_, end := request(t, tr, "/v1/tasks", "")
		end(http.StatusOK)
	}
	require.InDelta(t, n/2, len(memory.GetSpans()), n/10)

	tr, memory = tracing(t, trace.Options{Sample: -1})
	_, end := request(t, tr, "/v1/tasks", "")
	end(http.StatusOK)
	require.Empty(t, memory.GetSpans())
	_, end = request(t, tr, "/v1/tasks", remote)
	end(http.StatusOK)
	require.Len(t, memory.GetSpans(), 1)
}

func TestAMillionCallsOfABatchAreNotAMillionSpans(t *testing.T) {
	t.Parallel()
	tr, memory := tracing(t, trace.Options{})
	ctx, end := request(t, tr, "/v1/batches", "")
	o := observed()
	o.Flow = "batch_1"
	for range 100_000 {
		_, w := tr.Calls().Begin(ctx, o)
		w.End(llm.Response{}, nil)
	}
	end(http.StatusOK)
	n := len(memory.GetSpans())
	require.Greater(t, n, 20)
	require.Less(t, n, 300)
	require.Equal(t, "batch_1", attributes(memory.GetSpans()[0])["headrace.batch_id"])
}

// TestHistoriesReplayWhileTraced holds the interceptor to what histories say that
// were made without it.
func TestHistoriesReplayWhileTraced(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../workflows/testdata/replay/*/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	tr, _ := tracing(t, trace.Options{})
	follow, err := tr.Interceptor()
	require.NoError(t, err)
	for _, file := range files {
		replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{Interceptors: []interceptor.WorkerInterceptor{follow}})
		require.NoError(t, err)
		for name, w := range map[string]any{
			workflows.NameBatch: workflows.Batch, workflows.NameTask: workflows.Task, workflows.NameQueue: workflows.Queue,
			workflows.NameWebhook: workflows.Webhook,
		} {
			replayer.RegisterWorkflowWithOptions(w, workflow.RegisterOptions{Name: name})
		}
		quiet := log.NewStructuredLogger(slog.New(slog.DiscardHandler))
		require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(quiet, file), file)
	}
}

// names are those of the spans of an export.
func names(r *collector.ExportTraceServiceRequest) []string {
	var all []string
	for _, resource := range r.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				all = append(all, span.GetName())
			}
		}
	}
	return all
}

// export makes a span and waits until it has been exported.
func export(t *testing.T, o trace.Options) {
	t.Helper()
	tr, err := trace.New(t.Context(), o)
	require.NoError(t, err)
	_, end := request(t, tr, "/v1/tasks", "")
	end(http.StatusOK)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, tr.Close(ctx))
}

func TestSpansAreExportedOverHTTP(t *testing.T) {
	t.Parallel()
	got := make(chan []string, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var in collector.ExportTraceServiceRequest
		if r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &in) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		got <- names(&in)
	}))
	defer receiver.Close()
	export(t, trace.Options{Endpoint: receiver.URL})
	require.Equal(t, []string{"POST /v1/tasks"}, <-got)
}

// receiver takes spans over gRPC.
type receiver struct {
	collector.UnimplementedTraceServiceServer

	got chan []string
}

// Export implements collector.TraceServiceServer.
func (r receiver) Export(_ context.Context, in *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	r.got <- names(in)
	return &collector.ExportTraceServiceResponse{}, nil
}

func TestSpansAreExportedOverGRPC(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server, r := grpc.NewServer(), receiver{got: make(chan []string, 1)}
	collector.RegisterTraceServiceServer(server, r)
	go func() { _ = server.Serve(l) }()
	defer server.Stop()
	export(t, trace.Options{Endpoint: "http://" + l.Addr().String(), Protocol: trace.ProtocolGRPC})
	require.Equal(t, []string{"POST /v1/tasks"}, <-r.got)
}

func TestAReceiverThatIsAwayIsToldOnce(t *testing.T) {
	t.Parallel()
	refuse := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer refuse.Close()
	var out bytes.Buffer
	export(t, trace.Options{Endpoint: refuse.URL, Logger: slog.New(slog.NewTextHandler(&out, nil))})
	require.Contains(t, out.String(), `level=WARN msg="traces cannot be exported"`)
	require.NotContains(t, out.String(), "\n\n")
}

func TestAProtocolThatDoesNotExistIsRefused(t *testing.T) {
	t.Parallel()
	_, err := trace.New(t.Context(), trace.Options{Endpoint: "http://127.0.0.1:1", Protocol: "smoke"})
	require.EqualError(t, err, `export traces to http://127.0.0.1:1: protocol "smoke": expected http or grpc`)
}
