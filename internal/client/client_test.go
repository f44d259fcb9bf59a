package client_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/client"
	"github.com/headrace/headrace/internal/openai"
)

// object is a batch as a server describes it.
func object(id string) batch.Object {
	return batch.Object{Batch: openai.Batch{ID: id}, Headrace: batch.Extension{Options: batch.DefaultOptions()}}
}

func TestAServerIsNamedWithAndWithoutItsVersion(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, answer(http.StatusOK, `{"id":"batch_1"}`))
	for _, base := range []string{s.URL, s.URL + "/", s.URL + "/v1", s.URL + "/v1/"} {
		o, err := client.New(base).Batch(t.Context(), "batch_1")
		require.NoError(t, err)
		require.Equal(t, "batch_1", o.ID)
		require.Equal(t, "GET /v1/batches/batch_1", s.last(t))
		s.requests = nil
	}
}

func TestABatchIsCreatedWithTheOptionsThatAreGiven(t *testing.T) {
	t.Parallel()
	var sent []string
	s, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		sent = append(sent, string(body))
		if r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("content type %q", r.Header.Get("Content-Type"))
		}
		answerJSON(t, w, object("batch_1"))
	})
	o, err := c.CreateBatch(t.Context(), client.NewBatch{
		InputFileID: "file-1", Endpoint: openai.ChatCompletions, CompletionWindow: "24h", Metadata: map[string]string{"a": "b"},
		Headrace: client.NewBatchOptions{MaxConcurrency: 7},
	})
	require.NoError(t, err)
	require.Equal(t, "batch_1", o.ID)
	require.Equal(t, "POST /v1/batches", s.last(t))
	_, err = c.CreateBatch(t.Context(), client.NewBatch{InputFileID: "file-1", Endpoint: openai.Responses, CompletionWindow: "7d"})
	require.NoError(t, err)
	require.JSONEq(t, `{"input_file_id":"file-1","endpoint":"/v1/chat/completions","completion_window":"24h","metadata":{"a":"b"},`+
		`"headrace":{"max_concurrency":7}}`, sent[0])
	require.JSONEq(t, `{"input_file_id":"file-1","endpoint":"/v1/responses","completion_window":"7d","headrace":{}}`, sent[1],
		"what is not given is the server's default")
}

func TestABatchIsReadWithItsExtension(t *testing.T) {
	t.Parallel()
	want := batch.Object{
		Batch:    openai.Batch{ID: "batch_1", Status: openai.InProgress, RequestCounts: openai.RequestCounts{Total: 9, Completed: 4}},
		Headrace: batch.Extension{Options: batch.DefaultOptions(), InFlight: 3, WaitingOn: &batch.WaitingOn{Reason: batch.Refused}},
	}
	s, c := serve(t, func(w http.ResponseWriter, _ *http.Request) { answerJSON(t, w, want) })
	got, err := c.Batch(t.Context(), "../a b?c")
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, "GET /v1/batches/..%2Fa%20b%3Fc", s.last(t), "an id stays one segment of the path")
}

func TestContentIsStreamed(t *testing.T) {
	t.Parallel()
	more := make(chan struct{})
	s, c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "first\n")
		_ = http.NewResponseController(w).Flush()
		<-more
		_, _ = io.WriteString(w, "second\n")
	})
	r, err := c.Content(t.Context(), "file-1")
	require.NoError(t, err)
	first := make([]byte, len("first\n"))
	_, err = io.ReadFull(r, first)
	require.NoError(t, err, "before the rest has been written")
	close(more)
	rest, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Equal(t, "first\nsecond\n", string(first)+string(rest))
	require.Equal(t, "GET /v1/files/file-1/content", s.last(t))
}

func TestContentThatBreaksOffIsAnError(t *testing.T) {
	t.Parallel()
	_, c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "first\n")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	r, err := c.Content(t.Context(), "file-1")
	require.NoError(t, err)
	got, err := io.ReadAll(r)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "a part must not be taken for the whole")
	require.NoError(t, r.Close())
	require.Equal(t, "first\n", string(got))
}

// TestPollingKeepsItsConnection has answers that are sent in one piece and in
// chunks. It is not parallel: httptest closes the idle connections of all
// clients without a transport of their own when any server ends.
func TestPollingKeepsItsConnection(t *testing.T) {
	for _, size := range []int{0, 1000, 3000, 100_000} {
		peers := map[string]bool{}
		_, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			peers[r.RemoteAddr] = true
			_, _ = io.WriteString(w, `{"id":"batch_1","input_file_id":"`+strings.Repeat("x", size)+"\"}\n")
		})
		for range 10 {
			_, err := c.Batch(t.Context(), "batch_1")
			require.NoError(t, err)
		}
		require.Len(t, peers, 1, "%d bytes", size)
	}
}

func TestACancelledCallReturnsTheContextsError(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	_, c := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	_, err := c.Batch(ctx, "batch_1")
	require.ErrorIs(t, err, context.Canceled)
}

// listing serves n batches, newest first, pages of limit.
func listing(t *testing.T, n int) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.URL.Path != "/v1/batches" || q.Get("limit") != "100" {
			t.Errorf("asked for %s", r.URL)
		}
		const limit = 100
		from := 0
		if after := q.Get("after"); after != "" {
			if err := json.Unmarshal([]byte(after), &from); err != nil {
				t.Error(err)
			}
		}
		page := []batch.Object{}
		for i := from + 1; i <= n && len(page) < limit; i++ {
			id, _ := json.Marshal(i)
			page = append(page, object(string(id)))
		}
		answerJSON(t, w, openai.NewList(page, from+len(page) < n, func(o batch.Object) string { return o.ID }))
	}
}

func TestTheNewestBatchThatMatchesIsFoundOnItsPage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		batches int
		wanted  map[string]bool
		found   string
		pages   int
	}{
		{250, map[string]bool{"1": true, "2": true}, "1", 1},
		{250, map[string]bool{"100": true}, "100", 1},
		{250, map[string]bool{"101": true, "240": true}, "101", 2},
		{250, map[string]bool{"250": true}, "250", 3},
		{250, nil, "", 3},
		{200, nil, "", 2},
		{0, nil, "", 1},
	} {
		s, client := serve(t, listing(t, c.batches))
		o, found, err := client.FindBatch(t.Context(), func(o batch.Object) bool { return c.wanted[o.ID] })
		require.NoError(t, err)
		require.Equal(t, c.found != "", found)
		require.Equal(t, c.found, o.ID)
		require.Len(t, s.requests, c.pages)
	}
}

func TestAListingThatFailsHalfwayIsAnError(t *testing.T) {
	t.Parallel()
	pages := listing(t, 250)
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("after") == "100" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		pages(w, r)
	})
	_, found, err := c.FindBatch(t.Context(), func(batch.Object) bool { return false })
	require.ErrorContains(t, err, "500 Internal Server Error")
	require.False(t, found)
}

func TestAListingWithoutALastIDEnds(t *testing.T) {
	t.Parallel()
	s, c := serve(t, answer(http.StatusOK, `{"object":"list","data":[],"has_more":true}`))
	_, found, err := c.FindBatch(t.Context(), func(batch.Object) bool { return true })
	require.NoError(t, err)
	require.False(t, found)
	require.Len(t, s.requests, 1)
}
