package provider_test

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/llm/provider"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// key is the provider key of all tests.
const key = "sk-do-not-print-me"

// arrival is a request as an upstream has received it.
type arrival struct {
	method, url, proto string
	header             http.Header
	body               []byte
}

// upstream is a server that keeps what arrives and gives the answer that is
// set.
type upstream struct {
	*httptest.Server

	arrivals chan arrival
	answer   http.HandlerFunc // nil answers {}
}

func startUpstream(tb testing.TB, answer http.HandlerFunc) *upstream {
	tb.Helper()
	u := &upstream{arrivals: make(chan arrival, 1000), answer: answer}
	u.Server = httptest.NewServer(u)
	tb.Cleanup(u.Close)
	return u
}

// ServeHTTP implements http.Handler.
func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the client has left
	}
	u.arrivals <- arrival{method: r.Method, url: r.URL.String(), proto: r.Proto, header: r.Header, body: body}
	if u.answer != nil {
		u.answer(w, r)
		return
	}
	_, _ = w.Write([]byte("{}"))
}

// last returns the one request that has arrived since.
func (u *upstream) last(tb testing.TB) arrival {
	tb.Helper()
	require.Len(tb, u.arrivals, 1)
	return <-u.arrivals
}

// quiet keeps a server from writing to standard error.
func quiet() *log.Logger { return slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) }

// newProvider returns a provider that is closed when the test ends.
func newProvider(tb testing.TB, c provider.Config) *provider.Provider {
	tb.Helper()
	p, err := provider.New(c)
	require.NoError(tb, err)
	tb.Cleanup(p.Close)
	return p
}

// chat makes a chat completion, which has a minute.
func chat(ctx context.Context, p *provider.Provider, body string) (llm.Response, error) {
	return p.Call(ctx, llm.Request{Endpoint: openai.ChatCompletions, Model: "gpt-4o-mini", Body: []byte(body), Timeout: time.Minute})
}

// failure makes a chat completion that must come to an *llm.Error.
func failure(tb testing.TB, p *provider.Provider, body string) *llm.Error {
	tb.Helper()
	_, err := chat(tb.Context(), p, body)
	var e *llm.Error
	require.ErrorAs(tb, err, &e)
	return e
}

// startSimulator runs a simulator until the test ends.
func startSimulator(tb testing.TB) *simulator.Running {
	tb.Helper()
	ctx := context.WithoutCancel(tb.Context())
	run, err := simulator.Start(ctx, "127.0.0.1:0", simulator.Options{}, slog.New(slog.DiscardHandler))
	require.NoError(tb, err)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		require.NoError(tb, run.Stop(ctx))
	})
	return run
}

// question is the body of a chat completion that carries a directive for the
// simulator.
func question(directive string) string {
	body, err := json.Marshal(map[string]any{
		"model": "gpt-4o-mini", "user": directive,
		"messages": []map[string]string{{"role": "user", "content": "What is a headrace?"}},
	})
	if err != nil {
		panic(err) // strings only: it cannot fail
	}
	return string(body)
}
