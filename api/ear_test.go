package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/batch"
)

// ear is a client that listens to the events of a batch. It takes what it gets
// apart by itself.
type ear struct {
	header http.Header
	done   chan struct{} // closed when the stream has ended

	mu       sync.Mutex
	status   int
	text     strings.Builder
	deaf     bool // it takes nothing any more
	deadline time.Time
}

// heard is one event.
type heard struct {
	name, id string
	object   batch.Object
}

func (e *ear) Header() http.Header { return e.header }

func (e *ear) WriteHeader(status int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status = status
}

func (e *ear) Write(p []byte) (int, error) {
	e.mu.Lock()
	deaf, left := e.deaf, time.Until(e.deadline)
	e.mu.Unlock()
	if deaf {
		time.Sleep(left)
		return 0, os.ErrDeadlineExceeded
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.text.Write(p)
}

func (e *ear) Flush() {}

func (e *ear) SetWriteDeadline(t time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.deadline = t
	return nil
}

// events are those so far, and the number of heartbeats.
func (e *ear) events(t *testing.T) (events []heard, heartbeats int) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	for block := range strings.SplitSeq(strings.TrimSuffix(e.text.String(), "\n\n"), "\n\n") {
		var one heard
		var data string
		for line := range strings.Lines(block) {
			field, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			switch field {
			case "event":
				one.name = value
			case "id":
				one.id = value
			case "data":
				data = value
			}
		}
		if data == "" {
			heartbeats += strings.Count(block, ":")
			continue
		}
		require.NoError(t, json.Unmarshal([]byte(data), &one.object))
		events = append(events, one)
	}
	return events, heartbeats
}

// names are those of the events so far.
func (e *ear) names(t *testing.T) []string {
	t.Helper()
	events, _ := e.events(t)
	var names []string
	for _, one := range events {
		names = append(names, one.name)
	}
	return names
}

// listen begins to listen to a batch. It must be called in a bubble.
func (b *testBundle) listen(ctx context.Context, id, last string) *ear {
	e := &ear{header: http.Header{}, done: make(chan struct{})}
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/batches/"+id+"/events", http.NoBody)
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	go func() {
		defer close(e.done)
		b.api.ServeHTTP(e, r)
	}()
	return e
}
