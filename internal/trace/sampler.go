package trace

import (
	"context"
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/headrace/headrace/internal/logs"
)

// sampler keeps what belongs to a trace that is kept, and begins traces with requests
// to the API only. Otherwise each lease of a queue would be one.
type sampler struct{ root sdktrace.Sampler }

// ShouldSample implements sdktrace.Sampler.
func (s sampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	parent := oteltrace.SpanContextFromContext(p.ParentContext)
	result := sdktrace.SamplingResult{Decision: sdktrace.Drop, Tracestate: parent.TraceState()}
	switch {
	case strings.HasSuffix(p.Name, ":Nudge"): // one for every lane and command
	case parent.IsSampled():
		result.Decision = sdktrace.RecordAndSample
	case !parent.IsValid() && isRequest(p):
		return s.root.ShouldSample(p)
	}
	return result
}

// isRequest reports whether a span is that of a request to the API.
func isRequest(p sdktrace.SamplingParameters) bool {
	for _, a := range p.Attributes {
		if a.Key == keyMethod {
			return true
		}
	}
	return false
}

// Description implements sdktrace.Sampler.
func (s sampler) Description() string { return "HeadraceSampler{" + s.root.Description() + "}" }

// quiet is an exporter whose failures are logged when they begin and when they end,
// not one by one.
type quiet struct {
	sdktrace.SpanExporter

	logger *slog.Logger
	away   atomic.Bool
}

// ExportSpans implements sdktrace.SpanExporter.
func (q *quiet) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := q.SpanExporter.ExportSpans(ctx, spans)
	if failed := err != nil; q.away.Swap(failed) != failed && q.logger != nil {
		if failed {
			q.logger.WarnContext(ctx, "traces cannot be exported", logs.KeyError, err)
		} else {
			q.logger.InfoContext(ctx, "traces are exported again")
		}
	}
	return nil // it is told: the SDK would write it to standard error
}

// withPath gives an endpoint the path that OTLP over HTTP has, unless it has one.
func withPath(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil || u.Path != "" && u.Path != "/" {
		return endpoint
	}
	return u.JoinPath("v1", "traces").String()
}
