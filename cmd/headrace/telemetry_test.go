package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/logs"
)

func env(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

func TestTracesAreOffUntilTheEnvironmentNamesAReceiver(t *testing.T) {
	t.Parallel()
	for name, on := range map[string]bool{
		"": false, envTracesSample: false, envTracesEndpoint: true, "OTEL_EXPORTER_OTLP_ENDPOINT": true, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": true,
	} {
		value := "http://127.0.0.1:4318"
		if name == envTracesSample {
			value = "0"
		}
		o, err := newTelemetryOptions(env(map[string]string{name: value}))
		require.NoError(t, err, name)
		require.Equal(t, on, o.traced, name)
	}
	o, err := newTelemetryOptions(env(map[string]string{envTracesSample: "0"}))
	require.NoError(t, err)
	require.Negative(t, o.traces.Sample, "none, rather than the default")
	for _, wrong := range []string{"2", "-1", "half"} {
		_, err = newTelemetryOptions(env(map[string]string{envTracesSample: wrong}))
		require.ErrorContains(t, err, "expected a share from 0 to 1")
	}
}

func TestWrongSettingsOfTelemetryAreUsageErrors(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{envLogLevel: "loud", envLogFormat: "xml", envTracesSample: "2"} {
		got := command(t, map[string]string{name: value}, "worker")
		require.Equal(t, exitUsage, got.code, name)
		require.Contains(t, got.stderr, value)
	}
	got := command(t, map[string]string{envTelemetryListen: "nonsense"}, "worker")
	require.Equal(t, exitFailed, got.code)
	require.Contains(t, got.stderr, "listen for telemetry")
}

func TestWhatSomebodyHasToMendIsAWarning(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l, err := logs.New(&out, "info", "text")
	require.NoError(t, err)
	since := time.Now().Add(-time.Minute)
	refused := limit.State{Kind: llm.Refused, Message: "Incorrect API key provided: sk-1", Since: since}
	cooling := limit.State{Kind: llm.Throttled, Since: since, Until: time.Now().Add(time.Second)}
	tellOfProvider(l, limit.Change{Provider: "openai", Queue: "default", State: refused})
	require.Contains(t, out.String(), `level=WARN msg="provider takes no calls" provider=openai queue=default reason=refused`)
	require.NotContains(t, out.String(), "sk-1", "the provider's words may have a key in them")
	out.Reset()
	tellOfProvider(l, limit.Change{Provider: "openai", Queue: "default", State: cooling})
	require.Contains(t, out.String(), `level=INFO msg="provider takes no calls" provider=openai queue=default reason=rate_limited`)
	out.Reset()
	tellOfProvider(l, limit.Change{Provider: "openai", Queue: "default", Was: refused})
	require.Contains(t, out.String(), `level=INFO msg="provider takes calls again" provider=openai queue=default seconds=60`)
}
