package logs_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"github.com/headrace/headrace/internal/logs"
)

func TestLinesAreJSONWithKeysInSnakeCase(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l, err := logs.New(&out, "info", logs.JSON)
	require.NoError(t, err)
	l.Debug("too much")
	l.With("WorkflowID", "w", "HTTPStatus", 200).Info("batch begun", "ActivityType", "Plan", logs.KeyBatchID, "batch_1", "RunId", "r") //nolint:sloglint // as the SDK spells them
	var line map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &line), "one line")
	delete(line, "time")
	require.Equal(t, map[string]any{
		"level": "INFO", "msg": "batch begun", "workflow_id": "w", "activity_type": "Plan", "batch_id": "batch_1", "run_id": "r", "http_status": 200.,
	}, line)
}

func TestLinesWithinASpanHaveItsIDs(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l, err := logs.New(&out, "", "")
	require.NoError(t, err)
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	l.WithGroup("g").With("a", 1).InfoContext(trace.ContextWithSpanContext(t.Context(), span), "here")
	require.Contains(t, out.String(), "trace_id=01000000000000000000000000000000")
	require.Contains(t, out.String(), "span_id=0200000000000000")

	out.Reset()
	l.InfoContext(trace.ContextWithSpanContext(t.Context(), span.WithTraceFlags(0)), "here")
	require.NotContains(t, out.String(), "trace_id", "nobody has kept that span")
}

func TestLevelsAndFormatsThatDoNotExistAreRefused(t *testing.T) {
	t.Parallel()
	_, err := logs.New(&bytes.Buffer{}, "loud", "")
	require.EqualError(t, err, `log level "loud": expected debug, info, warn or error`)
	_, err = logs.New(&bytes.Buffer{}, "", "xml")
	require.EqualError(t, err, `log format "xml": expected text or json`)
	l, err := logs.New(&bytes.Buffer{}, "error", "text")
	require.NoError(t, err)
	require.False(t, l.Enabled(t.Context(), slog.LevelWarn))
}
