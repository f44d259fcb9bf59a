package simulator_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a simulator until the test ends.
func start(tb testing.TB, o simulator.Options) *simulator.Running {
	tb.Helper()
	ctx := context.WithoutCancel(tb.Context())
	run, err := simulator.Start(ctx, "127.0.0.1:0", o, slog.New(slog.DiscardHandler))
	require.NoError(tb, err)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		require.NoError(tb, run.Stop(ctx))
	})
	return run
}

// answer is what a client sees of a call.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// client returns an HTTP client with connections of its own.
func client(tb testing.TB) *http.Client {
	tb.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 1000}
	tb.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// send makes a request to path, such as "/v1/chat/completions", and reads its
// answer as far as it comes.
func send(ctx context.Context, c *http.Client, run *simulator.Running, method, path, body string) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+run.Addr().String()+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	resp, err := c.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, got}, err
}

// call makes a request that must be answered.
func call(tb testing.TB, run *simulator.Running, method, path, body string) answer {
	tb.Helper()
	a, err := send(tb.Context(), client(tb), run, method, path, body)
	require.NoError(tb, err)
	return a
}

// chat makes a chat completion with a body.
func chat(tb testing.TB, run *simulator.Running, body string) answer {
	tb.Helper()
	return call(tb, run, http.MethodPost, string(openai.ChatCompletions), body)
}

// question returns the body of a chat completion by a user.
func question(text, user string) string {
	body, err := json.Marshal(map[string]any{
		"model": "gpt-4o-mini", "user": user,
		"messages": []map[string]string{{"role": "user", "content": text}},
	})
	if err != nil {
		panic(err)
	}
	return string(body)
}

// envelope reads the error of an answer.
func envelope(tb testing.TB, a answer) openai.Error {
	tb.Helper()
	var e openai.Envelope
	require.NoError(tb, json.Unmarshal(a.body, &e), "body %q", a.body)
	require.NotNil(tb, e.Error, "body %q", a.body)
	return *e.Error
}

// direct calls the handler without a network, for tests with a clock of their
// own.
func direct(tb testing.TB, s *simulator.Simulator, body string) *httptest.ResponseRecorder {
	tb.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, string(openai.ChatCompletions), strings.NewReader(body))
	s.ServeHTTP(w, r)
	return w
}

func newSimulator(tb testing.TB, o simulator.Options) *simulator.Simulator {
	tb.Helper()
	s, err := simulator.New(o)
	require.NoError(tb, err)
	return s
}

// latency parses a latency that is known to be right.
func latency(tb testing.TB, s string) simulator.Latency {
	tb.Helper()
	l, err := simulator.ParseLatency(s)
	require.NoError(tb, err)
	return l
}
