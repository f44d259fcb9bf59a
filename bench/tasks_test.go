package main_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	main "github.com/headrace/headrace/bench"
)

// accepter accepts whatever is posted, and remembers it.
type accepter struct {
	mu          sync.Mutex
	bodies      map[string]int
	connections map[string]bool
	refuse      bool
}

func (a *accepter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.connections[r.RemoteAddr] = true
	if r.Method == http.MethodGet {
		return
	}
	if a.refuse {
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	a.bodies[string(body)]++
	w.WriteHeader(http.StatusAccepted)
	_, _ = fmt.Fprintf(w, `{"id":"task_%d"}%s`, len(a.bodies), strings.Repeat(" ", len(a.bodies)*100)) // chunked, when long
}

func newAccepter(t *testing.T) (*accepter, string) {
	t.Helper()
	a := &accepter{bodies: map[string]int{}, connections: map[string]bool{}}
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	return a, s.URL
}

func TestEachTaskIsPostedOnceOverKeptConnections(t *testing.T) {
	t.Parallel()
	a, url := newAccepter(t)
	ids, err := main.Post(t.Context(), url, 100, 7)
	require.NoError(t, err)
	require.Len(t, a.bodies, 100, "no two tasks are the same")
	require.Len(t, a.connections, 7)
	seen := map[string]bool{}
	for _, id := range ids {
		require.False(t, seen[id])
		seen[id] = true
	}
	require.Len(t, seen, 100)
}

func TestATaskThatIsRefusedEndsTheMeasure(t *testing.T) {
	t.Parallel()
	a, url := newAccepter(t)
	a.refuse = true
	_, err := main.Post(t.Context(), url, 100, 7)
	require.ErrorContains(t, err, "429 Too Many Requests, wanted 202")
}

func TestOnlyATaskWithItsAnswerPasses(t *testing.T) {
	t.Parallel()
	require.NoError(t, main.CheckTask([]byte(`{"status":"completed","result":{"body":{"choices":[]}}}`)))
	for _, wrong := range []string{
		`{"status":"in_progress","result":null}`, `{"status":"failed","result":{"body":{"error":{}}}}`,
		`{"status":"completed","result":{"body":{}}}`, ``,
	} {
		require.ErrorContains(t, main.CheckTask([]byte(wrong)), "without an answer")
	}
}

// BenchmarkPost is what the load costs by itself, with a server that does
// nothing in the same process.
func BenchmarkPost(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusAccepted)
		}
		_, _ = io.WriteString(w, `{"id":"task_1"}`)
	}))
	b.Cleanup(s.Close)
	_, err := main.Post(b.Context(), s.URL, b.N, 1000)
	require.NoError(b, err)
}
