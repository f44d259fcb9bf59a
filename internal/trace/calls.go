package trace

import (
	"context"
	"errors"
	"math/rand/v2"

	"github.com/tidwall/gjson"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/headrace/headrace/internal/dispatch"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/openai"
)

// Attributes of calls, after the semantic conventions for generative AI, and our
// own.
const (
	keyOperation     = "gen_ai.operation.name"
	keyProvider      = "gen_ai.provider.name"
	keyRequestModel  = "gen_ai.request.model"
	keyResponseModel = "gen_ai.response.model"
	keyInputTokens   = "gen_ai.usage.input_tokens"            //nolint:gosec // tokens are counted
	keyOutputTokens  = "gen_ai.usage.output_tokens"           //nolint:gosec // tokens are counted
	keyCachedTokens  = "gen_ai.usage.cache_read.input_tokens" //nolint:gosec // tokens are counted

	keyQueue   = "headrace.queue"
	keyProject = "headrace.project"
	keyBatch   = "headrace.batch_id"
)

// eventFirst is the event of a span whose stream has begun.
const eventFirst = "first event"

// cutOff is the error.type of a call that was cancelled, or whose process or lease
// has ended.
const cutOff = "cut_off"

// operations are what endpoints do, in the words of the conventions.
var operations = map[openai.Endpoint]string{
	openai.ChatCompletions: "chat", openai.Responses: "chat", openai.Completions: "text_completion", openai.Embeddings: "embeddings",
	openai.Moderations: "moderation",
}

// Calls is told of calls to providers. The header traceparent does not go out to
// them: they get what they were sent, and nothing of us.
func (t *Tracing) Calls() dispatch.Observer { return t.calls }

// calls makes the spans of calls to providers. It implements dispatch.Observer.
type calls struct {
	tracer oteltrace.Tracer
	share  float64 // of the calls of batches
}

// Begin implements dispatch.Observer.
func (c *calls) Begin(ctx context.Context, o *dispatch.Observed) (context.Context, dispatch.Watch) {
	if !oteltrace.SpanContextFromContext(ctx).IsSampled() {
		return ctx, unseen{}
	}
	if o.Flow != "" && rand.Float64() >= c.share { //nolint:gosec // a sample
		return ctx, unseen{}
	}
	ctx, span := c.tracer.Start(ctx, nameOf(o), oteltrace.WithSpanKind(oteltrace.SpanKindClient), oteltrace.WithAttributes(attributesOf(o)...))
	return ctx, seen{span}
}

// nameOf is the name of a span: the operation and what it is done to.
func nameOf(o *dispatch.Observed) string {
	if o.Provider == "" {
		return "http task"
	}
	if operation := operations[o.Endpoint]; operation != "" {
		return operation + " " + o.Model
	}
	return "call " + o.Model
}

// mostAttributes is how many attributes a call begins with at most.
const mostAttributes = 7

func attributesOf(o *dispatch.Observed) []attribute.KeyValue {
	all := make([]attribute.KeyValue, 0, mostAttributes)
	all = append(all, attribute.String(keyQueue, o.Queue), attribute.String(keyProject, o.Project))
	if o.Provider != "" {
		all = append(all, attribute.String(keyProvider, o.Provider), attribute.String(keyRequestModel, o.Model),
			attribute.String(keyOperation, operations[o.Endpoint]))
	}
	if o.Flow != "" {
		all = append(all, attribute.String(keyBatch, o.Flow))
	}
	if o.Attempt > 0 {
		all = append(all, attribute.Int(keyResends, o.Attempt))
	}
	return all
}

// seen is a call with a span.
type seen struct{ span oteltrace.Span }

// First implements dispatch.Watch.
func (s seen) First() { s.span.AddEvent(eventFirst) }

// End implements dispatch.Watch.
func (s seen) End(r llm.Response, err error) {
	defer s.span.End()
	status := r.Status
	if err != nil {
		kind := cutOff
		if e, ok := errors.AsType[*llm.Error](err); ok {
			kind, status = e.Kind.String(), e.Status
		}
		// Messages may quote what was asked.
		s.span.SetAttributes(attribute.String(keyErrorType, kind))
		s.span.SetStatus(codes.Error, kind)
	}
	if status != 0 {
		s.span.SetAttributes(attribute.Int(keyStatus, status))
	}
	if model := gjson.GetBytes(r.Body, "model"); model.Type == gjson.String {
		s.span.SetAttributes(attribute.String(keyResponseModel, model.Str))
	}
	if r.Usage != (openai.Usage{}) {
		s.span.SetAttributes(attribute.Int64(keyInputTokens, r.Usage.InputTokens), attribute.Int64(keyOutputTokens, r.Usage.OutputTokens),
			attribute.Int64(keyCachedTokens, r.Usage.InputTokensDetails.CachedTokens))
	}
}

// unseen is a call without a span.
type unseen struct{}

// First implements dispatch.Watch.
func (unseen) First() {}

// End implements dispatch.Watch.
func (unseen) End(llm.Response, error) {}
