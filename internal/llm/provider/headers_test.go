package provider_test

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/llm/provider"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/secret"
)

// Headers that name the caller.
const (
	headerAuthorization = "Authorization"
	headerOrganization  = "Openai-Organization"
	headerAzureKey      = "Api-Key"
	headerAnthropicKey  = "X-Api-Key"
)

func TestHeadersSayWhoCallsAndWhatIsSent(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, nil)
	p := newProvider(t, provider.Config{
		BaseURL: u.URL + "/v1", Key: secret.New(key), Organization: "org-1", UserAgent: "headrace/1.2",
	})
	const body = `{"model":"m"}`
	for _, endpoint := range openai.Endpoints() {
		_, err := p.Call(t.Context(), llm.Request{Endpoint: endpoint, Body: []byte(body), Timeout: time.Minute})
		require.NoError(t, err)
		h := u.last(t).header
		require.Equal(t, []string{"Bearer " + key}, h.Values(headerAuthorization))
		require.Equal(t, []string{"application/json"}, h.Values("Content-Type"))
		require.Equal(t, []string{"application/json"}, h.Values("Accept"))
		require.Equal(t, []string{"headrace/1.2"}, h.Values("User-Agent"))
		require.Equal(t, []string{"org-1"}, h.Values(headerOrganization))
		require.Equal(t, strconv.Itoa(len(body)), h.Get("Content-Length"), "sent in one piece, not in chunks")
		require.Empty(t, h.Values(headerAzureKey))
		require.Empty(t, h.Values(headerAnthropicKey))
	}
}

func TestNothingIsSentOfWhatIsNotConfigured(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, nil)
	for _, shape := range []provider.Shape{"", provider.OpenAI, provider.AzureAD, provider.Anthropic} {
		_, err := chat(t.Context(), newProvider(t, provider.Config{BaseURL: u.URL, Shape: shape}), "{}")
		require.NoError(t, err)
		h := u.last(t).header
		for _, name := range []string{headerAuthorization, headerOrganization, headerAzureKey, headerAnthropicKey} {
			require.NotContains(t, h, name, "shape %q", shape)
		}
	}
}

func TestTheHeadersOfAnAnswerComeBackWhateverItIs(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusOK, http.StatusTooManyRequests, http.StatusBadRequest, http.StatusFound} {
		u := startUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["X-Vendor"] = []string{"a", "b"}
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			w.WriteHeader(status)
			_, _ = w.Write([]byte("{}"))
		})
		got, err := chat(t.Context(), newProvider(t, provider.Config{BaseURL: u.URL}), "{}")
		header := got.Header
		if e, ok := errors.AsType[*llm.Error](err); ok {
			header = e.Header
		}
		require.Equal(t, []string{"a", "b"}, header.Values("X-Vendor"), "status %d", status)
		require.Equal(t, "application/json; charset=utf-8", header.Get("Content-Type"))
	}
}

func TestNoHeadersComeOfAnAnswerThatDidNotCome(t *testing.T) {
	t.Parallel()
	run := startSimulator(t)
	p := newProvider(t, provider.Config{BaseURL: run.URL()})
	require.Nil(t, failure(t, p, question("sim:cut")).Header)
	require.Nil(t, failure(t, newProvider(t, provider.Config{BaseURL: "http://127.0.0.1:0"}), "{}").Header)
}

func TestABaseURLMayEndInASlashAndHaveAPath(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, nil)
	for base, want := range map[string]string{
		"": "/chat/completions", "/": "/chat/completions", "/v1": "/v1/chat/completions", "/v1/": "/v1/chat/completions",
		"/proxy/openai/v1//": "/proxy/openai/v1/chat/completions",
	} {
		_, err := chat(t.Context(), newProvider(t, provider.Config{BaseURL: u.URL + base}), "{}")
		require.NoError(t, err)
		require.Equal(t, want, u.last(t).url, "base %q", base)
	}
}

func TestTheKeyNeverStandsInTheTextOfAnError(t *testing.T) {
	t.Parallel()
	run := startSimulator(t)
	refuses := startUpstream(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	bodies := []string{
		question("sim:status=401"), question("sim:status=400"), question("sim:html"), question("sim:cut"), question("sim:reset"),
		question("sim:middle"), question("sim:half"), "no JSON",
	}
	for _, shape := range []provider.Shape{provider.OpenAI, provider.AzureAD, provider.Azure, provider.Anthropic} {
		for _, base := range []string{run.URL(), refuses.URL, "http://127.0.0.1:0", "https" + refuses.URL[len("http"):]} {
			p := newProvider(t, provider.Config{BaseURL: base, Shape: shape, Key: secret.New(key)})
			for _, body := range bodies {
				e := failure(t, p, body)
				require.NotContains(t, e.Error(), key)
				require.NotContains(t, e.Message, key)
				if e.Err != nil {
					require.NotContains(t, e.Err.Error(), key)
				}
			}
		}
	}
	_, err := provider.New(provider.Config{Shape: "bedrock", Key: secret.New(key)})
	require.NotContains(t, err.Error(), key)
}

func TestAKeyThatNoHeaderCanCarryIsNotPrinted(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, nil)
	e := failure(t, newProvider(t, provider.Config{BaseURL: u.URL, Key: secret.New(key + "\n")}), "{}")
	require.NotContains(t, e.Error(), key)
	require.Empty(t, u.arrivals)
}

func TestHeadersOfTheConfigurationAreSentInPlaceOfOthers(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, nil)
	p := newProvider(t, provider.Config{BaseURL: u.URL, Key: secret.New(key), Header: http.Header{
		"x-gateway": {"mine"}, headerAuthorization: {"Basic abc"},
	}})
	_, _ = chat(t.Context(), p, "{}")
	got := <-u.arrivals
	require.Equal(t, "mine", got.header.Get("X-Gateway"))
	require.Equal(t, []string{"Basic abc"}, got.header.Values(headerAuthorization))
	require.Equal(t, "application/json", got.header.Get("Content-Type"))
}

func TestCallsGoThroughTheProxyThatIsGiven(t *testing.T) {
	t.Parallel()
	proxy := startUpstream(t, nil)
	to, err := url.Parse(proxy.URL)
	require.NoError(t, err)
	p := newProvider(t, provider.Config{BaseURL: "http://provider.test/v1", Proxy: http.ProxyURL(to)})
	_, _ = chat(t.Context(), p, "{}")
	require.Equal(t, "http://provider.test/v1/chat/completions", (<-proxy.arrivals).url)
}

func TestAProvidersTimeoutEndsACallThatAsksForMore(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	p := newProvider(t, provider.Config{BaseURL: u.URL, Timeout: 10 * time.Millisecond})
	_, err := chat(t.Context(), p, "{}")
	require.ErrorContains(t, err, "did not answer in time")
}
