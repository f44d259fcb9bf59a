package provider_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/llm/provider"
	"github.com/headrace/headrace/internal/secret"
)

func TestModelsAreTheProvidersOwnBytes(t *testing.T) {
	t.Parallel()
	answer := "{ \"data\" : [], \"vendor\": 1.0 }\n"
	u := startUpstream(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(answer)) })
	p := newProvider(t, provider.Config{BaseURL: u.URL + "/v1", Key: secret.New(key)})
	got, err := p.Models(t.Context())
	require.NoError(t, err)
	require.Equal(t, answer, string(got.Body))
	sent := u.last(t)
	require.Equal(t, http.MethodGet, sent.method)
	require.Equal(t, "/v1/models", sent.url)
	require.Empty(t, sent.body)
	require.Equal(t, "Bearer "+key, sent.header.Get(headerAuthorization))

	got, err = p.Model(t.Context(), "gpt-4o-mini")
	require.NoError(t, err)
	require.Equal(t, answer, string(got.Body))
	require.Equal(t, "/v1/models/gpt-4o-mini", u.last(t).url)
}

func TestTheNameOfAModelStaysInItsPlace(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, nil)
	for _, config := range []provider.Config{{BaseURL: u.URL}, {BaseURL: u.URL, Shape: provider.Azure}, {BaseURL: u.URL, Shape: provider.Anthropic}} {
		p := newProvider(t, config)
		for name, segment := range map[string]string{
			"org/model": "org%2Fmodel", "ft:gpt:a::b": "ft:gpt:a::b", "a?b=c#d": "a%3Fb=c%23d", "50%": "50%25", "a b": "a%20b", "..a": "..a",
		} {
			_, err := p.Model(t.Context(), name)
			require.NoError(t, err)
			require.Contains(t, u.last(t).url, "/models/"+segment, "%q, shape %q", name, config.Shape)
		}
		for _, name := range []string{"", ".", "..", "../files", "a/../../files", "a//b", "/a", "a/", "a/."} {
			_, err := p.Model(t.Context(), name)
			require.Equal(t, llm.Permanent, requireError(t, err).Kind, name)
			require.Empty(t, u.arrivals)
		}
	}
}

func TestModelsThatCannotBeListedAreAnError(t *testing.T) {
	t.Parallel()
	run := startSimulator(t)
	p := newProvider(t, provider.Config{BaseURL: run.URL() + "/nowhere"})
	_, err := p.Models(t.Context())
	e := requireError(t, err)
	require.Equal(t, http.StatusNotFound, e.Status)
	require.NotEmpty(t, e.Body)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = p.Models(ctx)
	require.Equal(t, context.Canceled, err)
}
