package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// healthy serves a headrace that is alive and not ready, unless told otherwise.
func healthy(t *testing.T, ready bool) (url, address string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/livez", r.URL.Path == "/readyz" && ready:
			_, _ = w.Write([]byte("ok\n"))
		case r.URL.Path == "/readyz":
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"error":{"message":"Not ready: the store","type":"unavailable","param":null,"code":null}}`))
		case r.URL.Path == "/plain":
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte("temporal: ok\nstore: gone\n"))
		case r.URL.Path == "/slow":
			<-r.Context().Done()
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, strings.TrimPrefix(s.URL, "http://")
}

func TestHealthTellsByItsExitCodeWhetherHeadraceIsReady(t *testing.T) {
	t.Parallel()
	ready, address := healthy(t, true)
	busy, _ := healthy(t, false)
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		env  map[string]string
		args string
		code int
		says string
	}{
		"ready":                    {args: ready, says: "ok\n"},
		"ready, with a slash":      {args: ready + "/", says: "ok\n"},
		"not ready":                {args: busy, code: 1, says: "503 Service Unavailable: Not ready: the store\n"},
		"not ready, but alive":     {args: busy + " --live", says: "ok\n"},
		"a path of its own":        {args: ready + "/plain", code: 1, says: "temporal: ok store: gone\n"},
		"somebody else":            {args: ready + "/nothing", code: 1, says: "404 Not Found"},
		"too slow":                 {args: ready + "/slow --timeout 10ms", code: 1, says: "no answer in time"},
		"where the API listens":    {env: map[string]string{"HEADRACE_API_LISTEN": "0.0.0.0:" + port}, says: "ok\n"},
		"on every address":         {env: map[string]string{"HEADRACE_API_LISTEN": ":" + port}, says: "ok\n"},
		"telemetry before the API": {env: map[string]string{"HEADRACE_TELEMETRY_LISTEN": address, "HEADRACE_API_LISTEN": "127.0.0.1:1"}, says: "ok\n"},
		"nobody":                   {args: "http://127.0.0.1:1", code: 1, says: "connection refused"},
		"no address":               {env: map[string]string{"HEADRACE_API_LISTEN": "8080"}, code: 2, says: "8080"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := command(t, c.env, append([]string{"health"}, strings.Fields(c.args)...)...)
			require.Equal(t, c.code, r.code, r.stderr)
			require.Contains(t, r.stdout+r.stderr, c.says)
		})
	}
}
