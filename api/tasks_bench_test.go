package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/headrace/headrace/api"
	"github.com/headrace/headrace/internal/store"
)

// starter is a Temporal that starts workflows at no cost.
type starter struct{ client.Client }

func (starter) ExecuteWorkflow(context.Context, client.StartWorkflowOptions, any, ...any) (client.WorkflowRun, error) {
	return nil, nil
}

// BenchmarkAccept measures what the API itself takes to accept a task.
func BenchmarkAccept(b *testing.B) {
	s, err := store.Open(b.Context(), b.TempDir())
	require.NoError(b, err)
	defer func() { require.NoError(b, s.Close()) }()
	a := api.New(api.Options{Temporal: starter{}, Store: s, Logger: slog.New(slog.DiscardHandler)})
	const body = `{"url":"/v1/chat/completions","body":{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Task 17"}]}}`
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/v1/tasks", strings.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			a.ServeHTTP(w, r)
			if w.Code != http.StatusAccepted {
				b.Fatal(w.Code, w.Body)
			}
		}
	})
}
