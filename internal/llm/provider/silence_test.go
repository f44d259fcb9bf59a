package provider_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/llm/provider"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/sse"
)

// neverEnding sends frames until the client leaves, which closes left.
func neverEnding(left chan<- struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		defer close(left)
		w.Header().Set("Content-Type", "text/event-stream")
		for err := error(nil); err == nil; {
			if _, err = io.WriteString(w, "data: {}\n\n"); err == nil {
				err = http.NewResponseController(w).Flush()
			}
		}
	}
}

// silentAfter sends what it is given and then nothing until the client leaves,
// which closes left.
func silentAfter(raw string, left chan<- struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		streams(raw)(w, r)
		<-r.Context().Done()
		close(left)
	}
}

func TestAStreamThatIsNotOverInTimeIsTransient(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	u := startUpstream(t, neverEnding(left))
	p := newProvider(t, provider.Config{BaseURL: u.URL})
	frames := 0
	_, err := p.Stream(t.Context(), llm.Request{Endpoint: openai.ChatCompletions, Timeout: 200 * time.Millisecond}, func(sse.Frame) error {
		frames++
		return nil
	})
	e := requireError(t, err)
	require.Equal(t, llm.Transient, e.Kind)
	require.Equal(t, llm.CodeTimeout, e.Code)
	require.Equal(t, http.StatusOK, e.Status)
	require.Positive(t, frames)
	<-left
}

func requireError(t *testing.T, err error) *llm.Error {
	t.Helper()
	var e *llm.Error
	require.ErrorAs(t, err, &e)
	return e
}

func TestAProviderThatFallsSilentIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	run := startSimulator(t)
	left := make(chan struct{})
	for name, base := range map[string]string{
		"before the answer": run.URL(), "within the stream": startUpstream(t, silentAfter("data: {}\n\n", left)).URL,
	} {
		p := newProvider(t, provider.Config{BaseURL: base, Silence: 50 * time.Millisecond})
		_, _, err := stream(t.Context(), p, openai.ChatCompletions, streaming(openai.ChatCompletions, "sim:stall"))
		e := requireError(t, err)
		require.Equal(t, llm.Transient, e.Kind, name)
		require.Equal(t, llm.CodeTimeout, e.Code)
		require.Equal(t, "the provider sent nothing for 50ms", e.Message)
	}
	require.Eventually(t, func() bool { return run.Stats().InFlight == 0 }, patience, time.Millisecond)
	<-left
}

func TestTheTimeThatTheReaderOfAStreamTakesIsNoSilence(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, streams("data: {}\n\n", "data: [DONE]\n\n"))
	p := newProvider(t, provider.Config{BaseURL: u.URL, Silence: 500 * time.Millisecond})
	_, err := p.Stream(t.Context(), llm.Request{Endpoint: openai.ChatCompletions, Timeout: time.Minute}, func(sse.Frame) error {
		<-time.After(700 * time.Millisecond)
		return nil
	})
	require.NoError(t, err)
}

func TestAStreamThatIsCompleteNeedNotEnd(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	u := startUpstream(t, silentAfter("data: {}\n\ndata: [DONE]\n\n", left))
	raw, _, err := stream(t.Context(), newProvider(t, provider.Config{BaseURL: u.URL}), openai.ChatCompletions, "{}")
	require.NoError(t, err)
	require.Equal(t, "data: {}\n\ndata: [DONE]\n\n", raw)
	<-left
}

func TestACancelledStreamReturnsAtOnceAndClosesItsSocket(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	u := startUpstream(t, silentAfter("data: {}\n\n", left))
	p := newProvider(t, provider.Config{BaseURL: u.URL})
	ctx, cancel := context.WithCancel(t.Context())
	var cancelled time.Time
	_, err := p.Stream(ctx, llm.Request{Endpoint: openai.ChatCompletions, Timeout: time.Minute}, func(sse.Frame) error {
		cancelled = time.Now()
		cancel()
		return nil
	})
	require.Equal(t, context.Canceled, err, "the context's own error, not an *llm.Error")
	<-left
	require.Less(t, time.Since(cancelled), 10*time.Second)
}

func TestStreamsShareOneConnection(t *testing.T) {
	t.Parallel()
	run := startSimulator(t)
	p := newProvider(t, provider.Config{BaseURL: run.URL()})
	for range 20 {
		_, _, err := stream(t.Context(), p, openai.ChatCompletions, streaming(openai.ChatCompletions, ""))
		require.NoError(t, err)
	}
	require.Equal(t, int64(1), run.Stats().OpenConnections)
}
