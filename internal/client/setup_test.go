package client_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/headrace/headrace/internal/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server answers as it is told and keeps which requests came.
type server struct {
	*httptest.Server

	mu       sync.Mutex
	requests []string // method and URL
}

// serve starts a server whose every answer is made by handler.
func serve(t *testing.T, handler http.HandlerFunc) (*server, *client.Client) {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.Method+" "+r.URL.String())
		s.mu.Unlock()
		handler(w, r)
	}))
	t.Cleanup(s.Close)
	return s, client.New(s.URL)
}

// answer answers with a status and a body.
func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Request-Id", "req_7")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// answerJSON answers 200 with v.
func answerJSON(t *testing.T, w http.ResponseWriter, v any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Error(err)
	}
	_, _ = w.Write(data)
}

// last returns the one request that has come.
func (s *server) last(t *testing.T) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Len(t, s.requests, 1)
	return s.requests[0]
}
