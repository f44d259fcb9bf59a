// Package logs makes the logger of a process: lines of text or JSON objects, whose
// keys are in snake case whoever writes them, with the ids of the trace that a line
// belongs to. What is logged is short: the beginning and the end of batches and of
// trouble, and never a call that went well. Prompts, completions and keys are never
// logged.
//
// It imports the API of OpenTelemetry's traces and nothing of headrace.
package logs

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode"

	"go.opentelemetry.io/otel/trace"
)

// Keys of attributes. One thing has one key in all lines.
const (
	KeyRequestID = "request_id"
	KeyBatchID   = "batch_id"
	KeyTaskID    = "task_id"
	KeyProject   = "project"
	KeyQueue     = "queue"
	KeyProvider  = "provider"
	KeyModel     = "model"
	KeyReason    = "reason"
	KeyError     = "error"
	KeyStatus    = "status"
	KeyRequests  = "requests"
	KeyCompleted = "completed"
	KeyFailed    = "failed"
	KeyTokens    = "tokens"
	KeySeconds   = "seconds"
	KeyMethod    = "method"
	KeyRoute     = "route"

	keyTraceID = "trace_id"
	keySpanID  = "span_id"
)

// Formats of lines.
const (
	Text = "text"
	JSON = "json"
)

// New returns a logger that writes lines of at least a level ("debug", "info",
// "warn" or "error"; "" is info) in a format ("text" or "json"; "" is text).
func New(w io.Writer, level, format string) (*slog.Logger, error) {
	least := slog.LevelInfo
	if level != "" {
		if err := least.UnmarshalText([]byte(level)); err != nil {
			return nil, fmt.Errorf("log level %q: expected debug, info, warn or error", level)
		}
	}
	o := &slog.HandlerOptions{Level: least, ReplaceAttr: rename}
	switch format {
	case Text, "":
		return slog.New(traced{slog.NewTextHandler(w, o)}), nil
	case JSON:
		return slog.New(traced{slog.NewJSONHandler(w, o)}), nil
	default:
		return nil, fmt.Errorf("log format %q: expected text or json", format)
	}
}

// rename gives keys of others, such as WorkflowID of Temporal's SDK, the form that
// ours have.
func rename(_ []string, a slog.Attr) slog.Attr {
	a.Key = snake(a.Key)
	return a
}

func snake(key string) string {
	if strings.IndexFunc(key, unicode.IsUpper) < 0 {
		return key
	}
	var b strings.Builder
	letters := []rune(key)
	for i, r := range letters {
		begins := i > 0 && unicode.IsUpper(r) && letters[i-1] != '_' &&
			(unicode.IsLower(letters[i-1]) || i+1 < len(letters) && unicode.IsLower(letters[i+1]))
		if begins {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// traced is a handler that adds the ids of the span of a line's context.
type traced struct{ slog.Handler }

// Handle implements slog.Handler.
func (t traced) Handle(ctx context.Context, r slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsSampled() {
		r = r.Clone()
		r.AddAttrs(slog.String(keyTraceID, span.TraceID().String()), slog.String(keySpanID, span.SpanID().String()))
	}
	return t.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (t traced) WithAttrs(attrs []slog.Attr) slog.Handler { return traced{t.Handler.WithAttrs(attrs)} }

// WithGroup implements slog.Handler.
func (t traced) WithGroup(name string) slog.Handler { return traced{t.Handler.WithGroup(name)} }
