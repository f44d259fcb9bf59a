package api_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"github.com/headrace/headrace/internal/openai"
)

const chatBatch = `","endpoint":"/v1/chat/completions","completion_window":"24h"`

func (b *testBundle) create(t *testing.T, more string) *httptest.ResponseRecorder {
	t.Helper()
	return b.send(t, http.MethodPost, "/v1/batches", `{"input_file_id":"`+b.upload(t, "{}")+chatBatch+more+"}")
}

func TestErrorsFromBelowAreTranslatedAndTellNoInternals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
		kind   string
		says   string
	}{
		"unavailable": {serviceerror.NewUnavailable("shard 3 of 10.0.0.7"), http.StatusServiceUnavailable, openai.TypeUnavailable, "The service is not available at the moment. Please try again."},
		"too slow":    {context.DeadlineExceeded, http.StatusServiceUnavailable, openai.TypeUnavailable, "The service is not available at the moment. Please try again."},
		"unknown":     {errors.New("dial 10.0.0.7: secret"), http.StatusInternalServerError, openai.TypeServer, "Internal error."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.temporal.err = c.err
			w := b.create(t, "")
			id := w.Header().Get("X-Request-Id")
			require.Equal(t, openai.Error{Status: c.status, Type: c.kind, Message: c.says}, envelope(t, w))
			require.Contains(t, b.log.String(), c.err.Error())
			require.Contains(t, b.log.String(), "request_id="+id)
			require.Contains(t, b.log.String(), "path=/v1/batches")
		})
	}
}

func TestAClientThatHasLeftIsNoErrorInTheLog(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := b.create(t, "")
	id := decode[openai.Batch](t, w.Body).ID
	b.temporal.err = serviceerror.NewCanceled("context canceled")
	ctx, leave := context.WithCancel(t.Context())
	leave()
	b.api.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/batches/"+id, http.NoBody))
	require.Empty(t, b.log.String())
}

func TestAPanicIsAnInternalError(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.temporal.memos = nil // so that the fake panics
	e := envelope(t, b.create(t, ""))
	require.Equal(t, openai.Error{Status: 500, Type: openai.TypeServer, Message: "Internal error."}, e)
	require.Contains(t, b.log.String(), "handler panicked")
}

// TestAnAnswerThatBreaksOffIsCut deletes the bytes below a file.
func TestAnAnswerThatBreaksOffIsCut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	file := b.upload(t, "0123456789")
	for key, err := range b.store.Keys(t.Context(), "") {
		require.NoError(t, err)
		if strings.HasSuffix(key, "/data") || !strings.HasSuffix(key, ".json") {
			require.NoError(t, b.store.Delete(t.Context(), key))
		}
	}
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		b.send(t, http.MethodGet, "/v1/files/"+file+"/content", "")
	})
	require.Contains(t, b.log.String(), "request failed")
}

func TestReadinessAsksTemporal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, "ok\n", b.send(t, http.MethodGet, "/readyz", "").Body.String())
	b.temporal.err = errors.New("away")
	e := envelope(t, b.send(t, http.MethodGet, "/readyz", ""))
	require.Equal(t, openai.Error{Status: 503, Type: openai.TypeUnavailable, Message: "Not ready: temporal: away"}, e)
	require.Equal(t, "ok\n", b.send(t, http.MethodGet, "/livez", "").Body.String(), "it is alive")
}

func TestEveryRouteTakesItsMethodsAndNoOther(t *testing.T) {
	t.Parallel()
	b := setup(t)
	file, batch := "file-00000000000000000000000000", "batch_00000000000000000000000000"
	for path, allowed := range map[string]string{
		"/livez": "GET", "/readyz": "GET",
		"/v1/files": "GET, POST", "/v1/files/" + file: "DELETE, GET", "/v1/files/" + file + "/content": "GET, HEAD",
		"/v1/batches": "GET, POST", "/v1/batches/" + batch: "DELETE, GET, PATCH", "/v1/batches/" + batch + "/cancel": "POST",
		"/v1/batches/" + batch + "/results": "GET", "/v1/batches/" + batch + "/pause": "POST",
		"/v1/batches/" + batch + "/resume": "POST", "/v1/batches/" + batch + "/retry": "POST",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
			w := b.send(t, method, path, "")
			if strings.Contains(allowed, method) {
				require.NotEqual(t, http.StatusMethodNotAllowed, w.Code, "%s %s", method, path)
				require.NotContains(t, w.Body.String(), "Invalid URL", "%s %s", method, path)
				continue
			}
			require.Equal(t, http.StatusMethodNotAllowed, w.Code, "%s %s", method, path)
			require.ElementsMatch(t, strings.Split(allowed, ", "), strings.Split(w.Header().Get("Allow"), ", "))
			require.Equal(t, "Not allowed to "+method+" on "+path+".", envelope(t, w).Message)
		}
	}
}
