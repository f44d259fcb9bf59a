package health_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/health"
)

func well(context.Context) error { return nil }

func probe(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestAProcessIsReadyIfAllItsPartsAre(t *testing.T) {
	t.Parallel()
	h := health.New(health.Check{Name: "temporal", Ready: well})
	handler := h.Handler(nil)
	code, body := probe(t, handler, health.PathReady)
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "ok\n", body)

	h.Add(
		health.Check{Name: "store", Ready: func(context.Context) error { return errors.New("disk\nis gone") }},
		health.Check{Name: "worker", Ready: func(context.Context) error { return errors.New("has not started") }},
	)
	code, body = probe(t, handler, health.PathReady)
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, "store: disk is gone\nworker: has not started\n", body)
	code, _ = probe(t, handler, health.PathLive)
	require.Equal(t, http.StatusOK, code, "it lives all the same")
	require.EqualError(t, health.Error(h.Ready(t.Context())), "store: disk is gone; worker: has not started")
}

func TestAProcessThatStopsIsNotReadyAtOnce(t *testing.T) {
	t.Parallel()
	h := health.New(health.Check{Name: "temporal", Ready: well})
	h.Drain()
	h.Drain()
	code, body := probe(t, h.Handler(nil), health.PathReady)
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, "process: is stopping\n", body)
}

func TestAPartThatDoesNotAnswerIsWaitedForNoLongerThanTheTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		h := health.New(
			health.Check{Name: "store", Ready: func(context.Context) error { <-end; return nil }},
			health.Check{Name: "temporal", Ready: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
			health.Check{Name: "worker", Ready: well},
		)
		begun := time.Now()
		err := health.Error(h.Ready(t.Context()))
		require.EqualError(t, err, "store: does not answer in time; temporal: does not answer in time")
		require.Equal(t, health.Timeout, time.Since(begun))
		close(end)
	})
}

func TestMetricsAreServedIfThereAreAny(t *testing.T) {
	t.Parallel()
	h := health.New()
	code, _ := probe(t, h.Handler(nil), "/metrics")
	require.Equal(t, http.StatusNotFound, code)
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	code, _ = probe(t, h.Handler(metrics), "/metrics")
	require.Equal(t, http.StatusTeapot, code)
}
