package trace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
	temporaltrace "go.temporal.io/sdk/contrib/opentelemetry"
	"go.temporal.io/sdk/interceptor"

	"github.com/headrace/headrace/internal/version"
)

// Protocols of OTLP.
const (
	ProtocolHTTP = "http" // with protobuf
	ProtocolGRPC = "grpc"
)

// Shares of what is kept, unless somebody says otherwise.
const (
	DefaultSample = 1.
	// DefaultBatchSample keeps one call of a thousand of a batch that is kept.
	DefaultBatchSample = 0.001
)

// Options configures Tracing.
type Options struct {
	// Endpoint is the URL of an OTLP receiver, such as http://collector:4318 or
	// http://collector:4317 for gRPC; http is without TLS. "" leaves it to the
	// environment, OTEL_EXPORTER_OTLP_ENDPOINT and the like, which the SDK reads:
	// headers, certificates and timeouts come from there in any case.
	Endpoint string
	// Protocol is ProtocolHTTP or ProtocolGRPC; "" is ProtocolHTTP.
	Protocol string
	// Sample is the share of requests that are kept, of those that come without a
	// trace; one that has a traceparent is kept if that says so. 0 is DefaultSample;
	// a negative one keeps only what comes with a trace.
	Sample float64
	// BatchSample is the share of the calls of a batch that have a span, of batches
	// that are kept. 0 is DefaultBatchSample; a negative one keeps none. Calls of
	// tasks are kept with their requests.
	BatchSample float64
	// Exporter takes the spans instead of an OTLP receiver, at once; for tests.
	Exporter sdktrace.SpanExporter
	// Logger is told when spans cannot be exported.
	Logger *slog.Logger
}

// Tracing makes spans. It is safe for concurrent use. Close it in the end.
type Tracing struct {
	provider *sdktrace.TracerProvider
	tracer   oteltrace.Tracer
	calls    *calls
}

// scope names the instrumentation.
const scope = "github.com/headrace/headrace"

// New returns tracing that has made no spans. A receiver that is away is no error.
func New(ctx context.Context, o Options) (*Tracing, error) {
	described, err := resource.New(ctx, resource.WithAttributes(
		attribute.String("service.name", "headrace"), attribute.String("service.version", version.String()),
	), resource.WithHost(), resource.WithProcessPID(), resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("describe process for traces: %w", err)
	}
	processor, err := newProcessor(ctx, o)
	if err != nil {
		return nil, err
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithResource(described), sdktrace.WithSpanProcessor(processor),
		sdktrace.WithSampler(sampler{sdktrace.TraceIDRatioBased(cmp.Or(o.Sample, DefaultSample))}),
	)
	t := &Tracing{provider: provider, tracer: provider.Tracer(scope, oteltrace.WithInstrumentationVersion(version.Number))}
	t.calls = &calls{tracer: t.tracer, share: cmp.Or(o.BatchSample, DefaultBatchSample)}
	return t, nil
}

// newProcessor returns what spans go to when they end.
func newProcessor(ctx context.Context, o Options) (sdktrace.SpanProcessor, error) {
	if o.Exporter != nil {
		return sdktrace.NewSimpleSpanProcessor(o.Exporter), nil
	}
	exporter, err := newExporter(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("export traces to %s: %w", o.Endpoint, err)
	}
	return sdktrace.NewBatchSpanProcessor(&quiet{SpanExporter: exporter, logger: o.Logger}), nil
}

func newExporter(ctx context.Context, o Options) (sdktrace.SpanExporter, error) {
	switch o.Protocol {
	case ProtocolHTTP, "":
		var options []otlptracehttp.Option
		if o.Endpoint != "" {
			options = append(options, otlptracehttp.WithEndpointURL(withPath(o.Endpoint)))
		}
		return otlptracehttp.New(ctx, options...)
	case ProtocolGRPC:
		var options []otlptracegrpc.Option
		if o.Endpoint != "" {
			options = append(options, otlptracegrpc.WithEndpointURL(o.Endpoint))
		}
		return otlptracegrpc.New(ctx, options...)
	default:
		return nil, fmt.Errorf("protocol %q: expected %s or %s", o.Protocol, ProtocolHTTP, ProtocolGRPC)
	}
}

// Close exports what is not yet exported, until ctx ends. No spans are made
// afterwards. It may be called more than once.
func (t *Tracing) Close(ctx context.Context) error { return t.provider.Shutdown(ctx) }

// Interceptor has Temporal's client, and the workers that are made of it, carry
// traces on: see client.Options. It leaves out leases, commands and questions, of
// which there are many and which explain little. Workflows replay with and without
// it.
func (t *Tracing) Interceptor() (interceptor.Interceptor, error) {
	return temporaltrace.NewTracingInterceptor(temporaltrace.TracerOptions{
		Tracer: t.tracer, TextMapPropagator: propagator, DisableBaggage: true, AllowInvalidParentSpans: true,
		DisableSignalTracing: true, DisableQueryTracing: true, DisableUpdateTracing: true,
	})
}

// propagator spells spans as W3C Trace Context has it. Baggage does not travel: it is
// the business of whoever calls us.
var propagator = propagation.TraceContext{}

const traceparent = "traceparent"

// Parent is the span of a context as the header traceparent has it, "" if nobody
// keeps it.
func (t *Tracing) Parent(ctx context.Context) string {
	if !oteltrace.SpanContextFromContext(ctx).IsSampled() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	propagator.Inject(ctx, carrier)
	return carrier[traceparent]
}

// Resume returns a context with the span that Parent has spelled.
func (t *Tracing) Resume(ctx context.Context, parent string) context.Context {
	return propagator.Extract(ctx, propagation.MapCarrier{traceparent: parent})
}
