package provider_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/llm/provider"
	"github.com/headrace/headrace/internal/openai"
)

// stopHalfway sends half an answer and waits until the client leaves, which
// closes left.
func stopHalfway(left chan<- struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte(`{"id":`))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(left)
	}
}

func TestACallThatTakesTooLongIsTransient(t *testing.T) {
	t.Parallel()
	run := startSimulator(t)
	left := make(chan struct{})
	for name, base := range map[string]string{"before the answer": run.URL(), "within the answer": startUpstream(t, stopHalfway(left)).URL} {
		p := newProvider(t, provider.Config{BaseURL: base})
		_, err := p.Call(t.Context(), llm.Request{
			Endpoint: openai.ChatCompletions, Body: []byte(question("sim:stall")), Timeout: 50 * time.Millisecond,
		})
		var e *llm.Error
		require.ErrorAs(t, err, &e, name)
		require.Equal(t, llm.Transient, e.Kind)
		require.Equal(t, llm.CodeTimeout, e.Code)
		require.Equal(t, "the provider did not answer in time", e.Message)
		require.Zero(t, e.Status)
		require.ErrorIs(t, e, context.DeadlineExceeded)
	}
	require.Eventually(t, func() bool { return run.Stats().InFlight == 0 }, 10*time.Second, time.Millisecond)
	<-left
}

func TestACancelledCallReturnsAtOnceAndClosesItsSocket(t *testing.T) {
	t.Parallel()
	run := startSimulator(t)
	p := newProvider(t, provider.Config{BaseURL: run.URL()})
	ctx, cancel := context.WithCancel(t.Context())
	returned := make(chan error)
	go func() {
		_, err := chat(ctx, p, question("sim:stall"))
		returned <- err
	}()
	require.Eventually(t, func() bool { return run.Stats().Faults["stall"] == 1 }, 10*time.Second, time.Millisecond)

	cancelled := time.Now()
	cancel()
	err := <-returned
	require.Equal(t, context.Canceled, err, "the context's own error, not an *llm.Error")
	require.Eventually(t, func() bool { return run.Stats().InFlight == 0 }, 10*time.Second, time.Millisecond)
	require.Less(t, time.Since(cancelled), time.Second)
	require.Equal(t, int64(1), run.Stats().ClientGone)
}

func TestACallCancelledWithinItsAnswerReturnsTheContextsError(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	u := startUpstream(t, stopHalfway(left))
	p := newProvider(t, provider.Config{BaseURL: u.URL})
	ctx, cancel := context.WithCancel(t.Context())
	returned := make(chan error)
	go func() {
		_, err := chat(ctx, p, "{}")
		returned <- err
	}()
	<-u.arrivals
	cancel()
	require.Equal(t, context.Canceled, <-returned)
	<-left
}

func TestTheDeadlineOfTheCallerIsNotTheProvidersFault(t *testing.T) {
	t.Parallel()
	run := startSimulator(t)
	p := newProvider(t, provider.Config{BaseURL: run.URL()})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := chat(ctx, p, question("sim:stall"))
	require.Equal(t, context.DeadlineExceeded, err)
	_, err = chat(ctx, p, question("sim:stall"))
	require.Equal(t, context.DeadlineExceeded, err)
	require.Equal(t, int64(1), run.Stats().Calls, "a call that is over before it begins is not made")
}

// lateCancel is a body at whose end the caller stops waiting.
type lateCancel struct {
	io.Reader

	cancel context.CancelFunc
}

func (b lateCancel) Close() error {
	b.cancel()
	return nil
}

// answerThenCancel answers without a network.
type answerThenCancel struct {
	status int
	answer string
	cancel context.CancelFunc
}

func (a answerThenCancel) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: a.status, Header: http.Header{}, Body: lateCancel{strings.NewReader(a.answer), a.cancel}, ContentLength: int64(len(a.answer)),
	}, nil
}

// cancelledAfter makes a call whose caller stops waiting when the answer has
// come.
func cancelledAfter(t *testing.T, status int, answer string) (llm.Response, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := newProvider(t, provider.Config{BaseURL: "test://upstream"})
	p.Transport().RegisterProtocol("test", answerThenCancel{status, answer, cancel})
	response, err := chat(ctx, p, "{}")
	require.Equal(t, context.Canceled, ctx.Err())
	return response, err
}

func TestAWholeAnswerIsKeptThoughTheCallerHasStoppedWaiting(t *testing.T) {
	t.Parallel()
	got, err := cancelledAfter(t, http.StatusOK, `{"id":"paid"}`)
	require.NoError(t, err)
	require.Contains(t, string(got.Body), "paid")

	_, err = cancelledAfter(t, http.StatusBadRequest, `{"error":{"message":"no"}}`)
	var e *llm.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, llm.Permanent, e.Kind)
	require.Equal(t, "no", e.Message)
}
