package api_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/api"
	"github.com/headrace/headrace/internal/health"
)

// scribe notes what it is told, for one request at a time.
type scribe struct{ notes []string }

type mark struct{}

// Begin implements api.Observer.
func (s *scribe) Begin(r *http.Request, route string) (*http.Request, func(int)) {
	s.notes = append(s.notes, fmt.Sprintf("%s %q", r.Method, route))
	return r.WithContext(context.WithValue(r.Context(), mark{}, true)), func(status int) { s.notes = append(s.notes, fmt.Sprint(status)) }
}

func (s *scribe) accepted(what api.Accepted, n int) {
	s.notes = append(s.notes, fmt.Sprintf("%d %s", n, what))
}

// observed is an API whose requests are noted.
func observed(t *testing.T, h *health.Health) (*testBundle, *scribe) {
	t.Helper()
	b, s := setup(t), &scribe{}
	b.api = api.New(api.Options{
		Temporal: b.temporal, Store: b.store, Logger: slog.New(slog.DiscardHandler), Health: h,
		Observers: []api.Observer{s}, Accepted: s.accepted, Tracer: tracer{},
	})
	return b, s
}

// tracer finds a trace in every context that an observer has marked.
type tracer struct{}

// Parent implements api.Tracer.
func (tracer) Parent(ctx context.Context) string {
	if ctx.Value(mark{}) == nil {
		return ""
	}
	return "00-trace"
}

// Resume implements api.Tracer.
func (tracer) Resume(ctx context.Context, _ string) context.Context { return ctx }

func TestObserversAreToldOfRequestsByTheirRoute(t *testing.T) {
	t.Parallel()
	b, s := observed(t, nil)
	b.send(t, http.MethodGet, "/v1/batches/batch_1", "")
	b.send(t, http.MethodGet, "/no/such/thing", "")
	b.send(t, http.MethodPost, "/livez", "")
	require.Equal(t, []string{`GET "/v1/batches/:id"`, "404", `GET ""`, "404", `POST ""`, "405"}, s.notes)
}

func TestWhatIsAcceptedIsTold(t *testing.T) {
	t.Parallel()
	b, s := observed(t, nil)
	file := b.upload(t, "{}")
	s.notes = nil
	w := b.send(t, http.MethodPost, "/v1/batches", `{"input_file_id":"`+file+chatBatch+"}")
	require.Equal(t, http.StatusOK, w.Code)
	task := `{"url":"/v1/chat/completions","body":{"model":"m","messages":[]}}`
	require.Equal(t, http.StatusAccepted, b.send(t, http.MethodPost, "/v1/tasks", task).Code)
	require.Equal(t, http.StatusAccepted, b.send(t, http.MethodPost, "/v1/tasks", "["+task+","+task+"]").Code)
	require.Equal(t, []string{
		`POST "/v1/batches"`, "1 batch", "200", `POST "/v1/tasks"`, "1 task", "202", `POST "/v1/tasks"`, "2 task", "202",
	}, s.notes)
}

func TestReadinessNamesEachPartThatFails(t *testing.T) {
	t.Parallel()
	h := health.New(health.Check{Name: "worker", Ready: func(context.Context) error { return errors.New("has not started") }})
	b, _ := observed(t, h)
	w := b.send(t, http.MethodGet, "/readyz", "")
	require.Equal(t, "Not ready: worker: has not started", envelope(t, w).Message)
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	h.Drain()
	require.Equal(t, "Not ready: process: is stopping", envelope(t, b.send(t, http.MethodGet, "/readyz", "")).Message)
	require.Equal(t, http.StatusOK, b.send(t, http.MethodGet, "/livez", "").Code)
}

func TestMetricsAreShownIfThereAreAny(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, http.StatusNotFound, b.send(t, http.MethodGet, "/metrics", "").Code)
	b.api = api.New(api.Options{
		Temporal: b.temporal, Store: b.store, Logger: slog.New(slog.DiscardHandler),
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("headrace_x 1\n")) }),
	})
	w := b.send(t, http.MethodGet, "/metrics", "")
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "headrace_x 1\n", w.Body.String())
}
