package e2e_test

import (
	"net/http"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/devserver"
)

func TestAnAPIThatIsToldToStopSaysSoAndGoesOnAnswering(t *testing.T) {
	t.Parallel()
	c := &cluster{t: t, temporal: devServer(t, devserver.Options{}), namespace: devserver.DefaultNamespace, store: t.TempDir()}
	p := start(t, []string{"HEADRACE_API_DRAIN_FOR=1h"}, append([]string{"api", "--listen", "127.0.0.1:0"}, c.flags()...)...)
	url := p.await(p.stdout, `API (http://\S+)/v1`)
	status := func(path string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, nil)
		require.NoError(t, err)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.StatusCode
	}
	require.Equal(t, http.StatusOK, status("/readyz"))
	p.signal(syscall.SIGTERM)
	poll(t, "the API to say that it stops", func() bool { return status("/readyz") == http.StatusServiceUnavailable })
	require.Equal(t, http.StatusOK, status("/v1/batches"), "who has not noticed is answered")
	require.Equal(t, http.StatusOK, status("/livez"))
	p.signal(syscall.SIGTERM)
	require.NotZero(t, p.wait(), "a second signal ends it at once")
}

func TestAnAPIThatIsToldToStopEndsWithoutAnError(t *testing.T) {
	t.Parallel()
	c := &cluster{t: t, temporal: devServer(t, devserver.Options{}), namespace: devserver.DefaultNamespace, store: t.TempDir()}
	p := start(t, []string{"HEADRACE_API_DRAIN_FOR=50ms"}, append([]string{"api", "--listen", "127.0.0.1:0"}, c.flags()...)...)
	p.await(p.stdout, `API (http://\S+)/v1`)
	p.signal(syscall.SIGTERM)
	require.Zero(t, p.wait())
}
