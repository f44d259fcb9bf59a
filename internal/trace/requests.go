package trace

import (
	"net/http"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// Attributes of spans, as OpenTelemetry's semantic conventions name them.
const (
	keyMethod    = "http.request.method"
	keyRoute     = "http.route"
	keyStatus    = "http.response.status_code"
	keyResends   = "http.request.resend_count"
	keyErrorType = "error.type"
)

// traced is where the routes begin that have spans: probes have none.
const traced = "/v1/"

// Requests is told of requests to the API. It implements api.Observer.
func (t *Tracing) Requests() *Requests { return &Requests{t.tracer} }

// Requests makes the spans of requests to the API.
type Requests struct{ tracer oteltrace.Tracer }

// Begin implements api.Observer.
func (s *Requests) Begin(r *http.Request, route string) (*http.Request, func(status int)) {
	if !strings.HasPrefix(route, traced) {
		return r, func(int) {}
	}
	ctx := propagator.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := s.tracer.Start(ctx, r.Method+" "+route, oteltrace.WithSpanKind(oteltrace.SpanKindServer),
		oteltrace.WithAttributes(attribute.String(keyMethod, r.Method), attribute.String(keyRoute, route)))
	return r.WithContext(ctx), func(status int) {
		span.SetAttributes(attribute.Int(keyStatus, status))
		if status >= http.StatusInternalServerError {
			span.SetAttributes(attribute.String(keyErrorType, strconv.Itoa(status)))
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}
