package client_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/secret"
)

func TestAKeyIsShownWithEveryRequest(t *testing.T) {
	t.Parallel()
	var wrong atomic.Int64
	s, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer hr_key" {
			wrong.Add(1)
		}
		w.WriteHeader(http.StatusUnauthorized)
	})
	for name, err := range calls(t.Context(), c.WithKey(secret.New("hr_key"))) {
		require.ErrorContains(t, err, "401 Unauthorized", name)
		require.NotContains(t, err.Error(), "hr_key", name)
	}
	require.Zero(t, wrong.Load())
	require.NotEmpty(t, s.requests)
}

func TestWithoutAKeyNoneIsShown(t *testing.T) {
	t.Parallel()
	var shown atomic.Int64
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		shown.Add(int64(len(r.Header.Values("Authorization"))))
		w.WriteHeader(http.StatusUnauthorized)
	})
	_ = calls(t.Context(), c)
	_ = calls(t.Context(), c.WithKey(secret.New("")))
	require.Zero(t, shown.Load())
}

func TestAKeyIsNotShownWhereARedirectLeads(t *testing.T) {
	t.Parallel()
	var shown atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		shown.Add(1 + int64(len(r.Header.Values("Authorization")))<<16)
	}))
	t.Cleanup(elsewhere.Close)
	other := strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1)
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other+r.URL.Path, http.StatusTemporaryRedirect)
	})
	_, err := c.WithKey(secret.New("hr_key")).Batch(t.Context(), "batch_1")
	require.ErrorContains(t, err, "decode answer")
	require.Equal(t, int64(1), shown.Load())
}
