package main

import (
	"bytes"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/config"
	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/logs"
	"github.com/headrace/headrace/internal/trace"
)

func env(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

func TestTracesAreOffUntilSomebodyNamesAReceiver(t *testing.T) {
	t.Parallel()
	c := config.Default().Telemetry
	require.False(t, newTelemetryOptions(c, config.Providers{}, env(nil)).traced)
	for _, name := range envOTLP {
		require.True(t, newTelemetryOptions(c, config.Providers{}, env(map[string]string{name: "http://127.0.0.1:4318"})).traced, name)
	}
	c.Traces = config.Traces{Endpoint: "http://127.0.0.1:4318", Protocol: "grpc", Sample: 0.5}
	o := newTelemetryOptions(c, config.Providers{}, env(nil))
	require.True(t, o.traced)
	require.Equal(t, trace.Options{Endpoint: "http://127.0.0.1:4318", Protocol: trace.ProtocolGRPC, Sample: 0.5}, o.traces)
	c.Traces.Sample = 0
	require.Negative(t, newTelemetryOptions(c, config.Providers{}, env(nil)).traces.Sample, "none, rather than the default")
}

func TestAnAddressOfTelemetryThatIsTakenEndsTheProcess(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	got := command(t, map[string]string{"HEADRACE_TELEMETRY_LISTEN": l.Addr().String()}, "worker")
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
	cooling := limit.State{Kind: llm.Throttled, Since: since, Until: since.Add(2 * time.Minute)}
	resting := limit.State{Kind: llm.Throttled, Since: since, Until: since.Add(2 * time.Second)}
	tellOfProvider(l, limit.Change{Provider: "openai", Queue: "default", State: refused})
	require.Contains(t, out.String(), `level=WARN msg="provider takes no calls" provider=openai queue=default reason=refused`)
	require.NotContains(t, out.String(), "sk-1", "the provider's words may have a key in them")
	out.Reset()
	tellOfProvider(l, limit.Change{Provider: "openai", Queue: "default", State: cooling})
	require.Contains(t, out.String(), `level=INFO msg="provider takes no calls" provider=openai queue=default reason=rate_limited`)
	out.Reset()
	tellOfProvider(l, limit.Change{Provider: "openai", Queue: "default", Was: refused})
	require.Contains(t, out.String(), `level=INFO msg="provider takes calls again" provider=openai queue=default seconds=60`)
	out.Reset()
	tellOfProvider(l, limit.Change{Provider: "openai", Queue: "default", State: resting})
	tellOfProvider(l, limit.Change{Provider: "openai", Queue: "default", Was: resting})
	require.Empty(t, out.String(), "a short pause is everyday")
}

func TestChangesOfProvidersAreLoggedInOrder(t *testing.T) {
	t.Parallel()
	out := &lockedBuffer{}
	l, err := logs.New(out, "info", "text")
	require.NoError(t, err)
	tell, stop := tellOfProviders(l)
	defer stop()
	refused := limit.State{Kind: llm.Refused, Since: time.Now()}
	tell(limit.Change{Provider: "p", State: refused})
	tell(limit.Change{Provider: "p", Was: refused})
	require.Eventually(t, func() bool { return strings.Count(out.String(), "provider=p") == 2 }, 20*time.Second, 5*time.Millisecond)
	require.Less(t, strings.Index(out.String(), "no calls"), strings.Index(out.String(), "calls again"))
}

// lockedBuffer may be read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String returns what was written.
func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
