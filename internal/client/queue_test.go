package client_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/queue"
)

func TestQueuesAreReadOneByOneAndAllAtOnce(t *testing.T) {
	t.Parallel()
	want := queue.NewObject("a b/c", queue.Settings{Concurrency: 3})
	s, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/queues" {
			answerJSON(t, w, openai.NewList([]queue.Object{want}, false, func(o queue.Object) string { return o.Name }))
			return
		}
		answerJSON(t, w, want)
	})
	list, err := c.Queues(t.Context())
	require.NoError(t, err)
	require.Equal(t, []queue.Object{want}, list.Data)
	for _, task := range []string{"", "task_1&x"} {
		o, err := c.Queue(t.Context(), want.Name, task)
		require.NoError(t, err)
		require.Equal(t, want, o)
	}
	require.Equal(t, []string{"GET /v1/queues", "GET /v1/queues/a%20b%2Fc", "GET /v1/queues/a%20b%2Fc?task=task_1%26x"}, s.requests)
}

func TestAChangeOfAQueueNamesWhatItChanges(t *testing.T) {
	t.Parallel()
	var sent string
	s, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("Content-Type") != "application/json" {
			t.Error(err, r.Header)
		}
		sent = string(body)
		answerJSON(t, w, queue.NewObject("q", queue.Settings{Paused: true}))
	})
	o, err := c.ChangeQueue(t.Context(), "q", map[string]any{"concurrency": 3, "rpm": nil})
	require.NoError(t, err)
	require.True(t, o.Paused)
	require.Equal(t, "PATCH /v1/queues/q", s.last(t))
	require.JSONEq(t, `{"concurrency":3,"rpm":null}`, sent)
}
