package api_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/api"
	"github.com/headrace/headrace/internal/openai"
)

// models answers as its fields say, and keeps the names it was asked for.
type models struct {
	answer api.ModelAnswer
	err    error
	asked  []string
}

func (m *models) Models(_ context.Context, name string) (api.ModelAnswer, error) {
	m.asked = append(m.asked, name)
	return m.answer, m.err
}

// ask makes a request to an API whose provider is m.
func (m *models) ask(t *testing.T, path string) *httptest.ResponseRecorder {
	t.Helper()
	b := setup(t)
	b.api = api.New(api.Options{Temporal: b.temporal, Store: b.store, Logger: slog.New(slog.NewTextHandler(b.log, nil)), Models: m})
	return b.send(t, http.MethodGet, path, "")
}

func TestModelsAreThoseOfTheProvider(t *testing.T) {
	t.Parallel()
	for path, name := range map[string]string{
		"/v1/models": "", "/v1/models/gpt-5": "gpt-5", "/v1/models/org/model": "org/model", "/v1/models/org%2Fmodel": "org/model",
		"/v1/models/a%3Fb": "a?b",
	} {
		for _, status := range []int{http.StatusOK, http.StatusUnauthorized} {
			m := &models{answer: api.ModelAnswer{Status: status, ContentType: "application/json; charset=utf-8", Body: []byte(`{ "data" : [] }`)}}
			w := m.ask(t, path)
			require.Equal(t, []string{name}, m.asked, path)
			require.Equal(t, status, w.Code)
			require.Equal(t, "application/json; charset=utf-8", w.Header().Get("Content-Type"))
			require.Equal(t, string(m.answer.Body), w.Body.String())
		}
	}
}

func TestModelsThatCannotBeHadAreAnError(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]openai.Error{
		api.ErrNoModelName:             {Status: http.StatusNotFound, Type: openai.TypeInvalidRequest, Param: new("model"), Message: "The model 'x' does not exist."},
		context.DeadlineExceeded:       {Status: http.StatusGatewayTimeout, Type: openai.TypeServer, Message: "The provider did not answer in time."},
		errors.New("dial 10.0.0.7: x"): {Status: http.StatusBadGateway, Type: openai.TypeServer, Message: "The provider cannot be reached."},
	} {
		require.Equal(t, want, envelope(t, (&models{err: err}).ask(t, "/v1/models/x")))
	}
}

func TestWithoutAProviderThereAreNoModels(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/v1/models", "/v1/models/x"} {
		e := envelope(t, setup(t).send(t, http.MethodGet, path, ""))
		require.Equal(t, http.StatusServiceUnavailable, e.Status)
		require.Contains(t, e.Message, "No provider is configured for this process.")
	}
	require.Equal(t, http.StatusNotFound, envelope(t, setup(t).send(t, http.MethodGet, "/v1/models/", "")).Status)
}
