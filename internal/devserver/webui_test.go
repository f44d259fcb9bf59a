package devserver_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/devserver"
)

func TestTheWebUIServesItsPagesAndItsAPI(t *testing.T) {
	t.Parallel()
	s := startServer(t, devserver.Options{UI: true})
	execute(t, dial(t, s), "seen", nap, time.Hour)

	status, header, body := get(t, s.UIURL()+"/")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, header.Get("Content-Type"), "text/html")
	require.Contains(t, body, "<html")
	_, asset, _ := strings.Cut(body, `"/_app/`)
	asset, _, _ = strings.Cut(asset, `"`)
	status, _, _ = get(t, s.UIURL()+"/_app/"+asset)
	require.Equal(t, http.StatusOK, status, "an asset of the page: %s", asset)

	// A listing may be a moment behind.
	require.Eventually(t, func() bool {
		status, _, body = get(t, s.UIURL()+"/api/v1/namespaces/default/workflows")
		return status == http.StatusOK && strings.Contains(body, `"seen"`)
	}, 10*time.Second, 10*time.Millisecond)
	status, _, body = get(t, s.UIURL()+"/api/v1/namespaces/default/workflows/seen")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "WORKFLOW_EXECUTION_STATUS_RUNNING")
}

func TestTheWebUICallsNobody(t *testing.T) {
	t.Parallel()
	s := startServer(t, devserver.Options{UI: true, Namespace: "team", Codec: "http://127.0.0.1:1/codec"})
	status, _, body := get(t, s.UIURL()+"/api/v1/settings")
	require.Equal(t, http.StatusOK, status)
	var settings struct {
		DefaultNamespace                                           string
		DisableNewsFetch, NotifyOnNewVersion, BatchActionsDisabled bool
		Codec                                                      struct{ Endpoint string }
	}
	require.NoError(t, json.Unmarshal([]byte(body), &settings))
	require.Equal(t, "team", settings.DefaultNamespace)
	require.True(t, settings.DisableNewsFetch)
	require.False(t, settings.NotifyOnNewVersion)
	require.True(t, settings.BatchActionsDisabled)
	require.Equal(t, "http://127.0.0.1:1/codec", settings.Codec.Endpoint)
	status, _, _ = get(t, s.UIURL()+"/api/v1/releases")
	require.Equal(t, http.StatusNotFound, status)
}

func TestTheWebUIRefusesChangesFromOtherSites(t *testing.T) {
	t.Parallel()
	s := startServer(t, devserver.Options{UI: true})
	execute(t, dial(t, s), "victim", nap, time.Hour)
	post := func(site string) int {
		url := s.UIURL() + "/api/v1/namespaces/default/workflows/victim/terminate"
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("{}"))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Sec-Fetch-Site", site)
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	require.Equal(t, http.StatusForbidden, post("cross-site"))
	require.Equal(t, http.StatusOK, post("same-origin"))
}

func get(tb testing.TB, url string) (int, http.Header, string) {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, url, nil)
	require.NoError(tb, err)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(tb, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(tb, err)
	require.NoError(tb, resp.Body.Close())
	return resp.StatusCode, resp.Header, string(body)
}
