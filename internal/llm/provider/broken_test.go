package provider_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/llm/provider"
)

func TestAnAnswerThatDoesNotComeIsTransient(t *testing.T) {
	t.Parallel()
	run := startSimulator(t)
	p := newProvider(t, provider.Config{BaseURL: run.URL()})
	for _, directive := range []string{"sim:cut", "sim:reset", "sim:middle", "sim:middle;bytes=100000", "sim:middle;bytes=3000000"} {
		e := failure(t, p, question(directive))
		require.Equal(t, llm.Transient, e.Kind, directive)
		require.Equal(t, llm.CodeConnection, e.Code, directive)
		require.Zero(t, e.Status)
		require.Empty(t, e.Body)
		require.NotEmpty(t, e.Message)
		require.Error(t, e.Err)
	}
}

// TestACallIsOneAttemptEvenOnAnOldConnection cuts calls whose connection has
// served others before, which net/http could take for a server that has closed
// an idle one, and try again.
func TestACallIsOneAttemptEvenOnAnOldConnection(t *testing.T) {
	t.Parallel()
	run := startSimulator(t)
	p := newProvider(t, provider.Config{BaseURL: run.URL()})
	for _, directive := range []string{"sim:cut", "sim:reset", "sim:middle", "sim:half", "sim:status=500", "sim:status=429;retry-after-ms=1"} {
		_, err := chat(t.Context(), p, question("before "+directive))
		require.NoError(t, err)
		_ = failure(t, p, question(directive))
		require.Equal(t, 1, run.Calls([]byte(question(directive))), directive)
	}
}

func TestHalfAnAnswerOfTheRightLengthIsTransientAndKept(t *testing.T) {
	t.Parallel()
	run := startSimulator(t)
	p := newProvider(t, provider.Config{BaseURL: run.URL()})
	whole, err := chat(t.Context(), p, question("sim:pretty"))
	require.NoError(t, err)
	require.True(t, json.Valid(whole.Body))

	e := failure(t, p, question("sim:half;pretty"))
	require.Equal(t, llm.Transient, e.Kind)
	require.Equal(t, llm.CodeInvalid, e.Code)
	require.Equal(t, http.StatusOK, e.Status)
	require.NotEmpty(t, e.Body)
	require.False(t, json.Valid(e.Body))
	require.Regexp(t, "^req_", e.RequestID)
}

func TestASuccessThatIsNoJSONIsTransientAndKept(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		body   string
	}{
		{200, ""}, {200, "OK"}, {200, "<html></html>"}, {200, "data: {}\n\n"}, {200, "{\"a\":\"\xff\"}"}, {202, "{"}, {204, ""},
	} {
		u := startUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		e := failure(t, newProvider(t, provider.Config{BaseURL: u.URL}), "{}")
		require.Equal(t, llm.Transient, e.Kind, "%d %q", c.status, c.body)
		require.Equal(t, llm.CodeInvalid, e.Code)
		require.Equal(t, c.status, e.Status)
		require.Equal(t, c.body, string(e.Body))
	}
}

func TestAnAnswerOf30MBArrivesWhole(t *testing.T) {
	t.Parallel()
	answer := append(append([]byte(`{"text":"`), bytes.Repeat([]byte("headrace "), 30<<20/9)...), `","usage":{"total_tokens":7}}`...)
	for _, length := range []string{strconv.Itoa(len(answer)), ""} { // "" sends it in chunks
		u := startUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
			if length != "" {
				w.Header().Set("Content-Length", length)
			}
			_, _ = w.Write(answer)
		})
		got, err := chat(t.Context(), newProvider(t, provider.Config{BaseURL: u.URL}), "{}")
		require.NoError(t, err)
		require.True(t, bytes.Equal(answer, got.Body), "%d bytes of %d", len(got.Body), len(answer))
		require.Equal(t, int64(7), got.Usage.TotalTokens)
	}
}

func TestACompressedAnswerIsDecoded(t *testing.T) {
	t.Parallel()
	answer := `{ "text" : "` + string(bytes.Repeat([]byte("headrace "), 1000)) + `" }`
	u := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "gzip" {
			http.Error(w, "gzip is not asked for", http.StatusNotAcceptable)
			return
		}
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = io.WriteString(z, answer)
		_ = z.Close()
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Length", strconv.Itoa(packed.Len()))
		_, _ = w.Write(packed.Bytes())
	})
	got, err := chat(t.Context(), newProvider(t, provider.Config{BaseURL: u.URL}), "{}")
	require.NoError(t, err)
	require.Equal(t, answer, string(got.Body))
}

func TestALengthIsNotBelievedBeforeTheBytesCome(t *testing.T) {
	t.Parallel()
	const claimed = 1 << 40 // a terabyte: allocating it would end the test
	u := startUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(claimed))
		_, _ = io.WriteString(w, "{}")
	})
	e := failure(t, newProvider(t, provider.Config{BaseURL: u.URL}), "{}")
	require.Equal(t, llm.Transient, e.Kind)
	require.ErrorIs(t, e, io.ErrUnexpectedEOF)
}
