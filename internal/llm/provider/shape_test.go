package provider_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/llm/provider"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/secret"
)

func TestAzureIsCalledByDeployment(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, nil)
	for _, base := range []string{u.URL, u.URL + "/"} {
		p := newProvider(t, provider.Config{BaseURL: base, Shape: provider.Azure, APIVersion: "2024-10-21", Key: secret.New(key)})
		for endpoint, want := range map[openai.Endpoint]string{
			openai.ChatCompletions: "/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21",
			openai.Completions:     "/openai/deployments/my-gpt/completions?api-version=2024-10-21",
			openai.Embeddings:      "/openai/deployments/my-gpt/embeddings?api-version=2024-10-21",
			openai.Responses:       "/openai/responses?api-version=2024-10-21",
		} {
			body := `{"model":"my-gpt", "temperature":0}`
			_, err := p.Call(t.Context(), llm.Request{Endpoint: endpoint, Model: "my-gpt", Body: []byte(body), Timeout: time.Minute})
			require.NoError(t, err)
			got := u.last(t)
			require.Equal(t, want, got.url)
			require.Equal(t, body, string(got.body))
			require.Equal(t, []string{key}, got.header.Values(headerAzureKey))
			require.NotContains(t, got.header, headerAuthorization)
		}
	}
}

func TestAzureADSendsABearerToken(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, nil)
	p := newProvider(t, provider.Config{BaseURL: u.URL, Shape: provider.AzureAD, Key: secret.New(key)})
	_, err := p.Call(t.Context(), llm.Request{Endpoint: openai.ChatCompletions, Model: "o1", Body: []byte("{}"), Timeout: time.Minute})
	require.NoError(t, err)
	got := u.last(t)
	require.Equal(t, "/openai/deployments/o1/chat/completions?api-version=2023-05-15", got.url, "go-openai's default version")
	require.Equal(t, []string{"Bearer " + key}, got.header.Values(headerAuthorization))
	require.NotContains(t, got.header, headerAzureKey)
}

// TestAModelCannotLeaveItsPlaceInTheURL names models as no deployment is named:
// whoever writes a batch line must not choose what else the key is sent to.
func TestAModelCannotLeaveItsPlaceInTheURL(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, nil)
	p := newProvider(t, provider.Config{BaseURL: u.URL, Shape: provider.Azure, Key: secret.New(key)})
	for model, segment := range map[string]string{
		"../../files": "..%2F..%2Ffiles", "a?api-version=1&": "a%3Fapi-version=1&", "a#": "a%23", "a b": "a%20b", "100%": "100%25", "ä": "%C3%A4",
	} {
		_, err := p.Call(t.Context(), llm.Request{Endpoint: openai.ChatCompletions, Model: model, Body: []byte("{}"), Timeout: time.Minute})
		require.NoError(t, err, model)
		require.Equal(t, "/openai/deployments/"+segment+"/chat/completions?api-version=2023-05-15", u.last(t).url)
	}
}

func TestAnthropicGetsItsKeyAndVersion(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, nil)
	for version, want := range map[string]string{"": "2023-06-01", "2030-01-01": "2030-01-01"} {
		p := newProvider(t, provider.Config{BaseURL: u.URL + "/v1", Shape: provider.Anthropic, APIVersion: version, Key: secret.New(key)})
		body := `{"model":"claude", "max_tokens": 1}`
		_, err := chat(t.Context(), p, body)
		require.NoError(t, err)
		got := u.last(t)
		require.Equal(t, body, string(got.body))
		require.Contains(t, got.url, "/v1/chat/completions")
		require.Equal(t, []string{key}, got.header.Values(headerAnthropicKey))
		require.Equal(t, []string{want}, got.header.Values("Anthropic-Version"))
		require.NotContains(t, got.header, headerAuthorization)
	}
}

func TestWithoutABaseURLEachShapeHasItsOwn(t *testing.T) {
	t.Parallel()
	for shape, want := range map[provider.Shape]string{
		"": "api.openai.com:443", provider.OpenAI: "api.openai.com:443", provider.Anthropic: "api.anthropic.com:443",
	} {
		p := newProvider(t, provider.Config{Shape: shape})
		var dialled string
		p.Transport().DialContext = func(_ context.Context, _, addr string) (net.Conn, error) {
			dialled = addr
			return nil, &net.OpError{Op: "dial", Err: errors.New("no network in tests")}
		}
		require.Equal(t, llm.Unreachable, failure(t, p, "{}").Kind)
		require.Equal(t, want, dialled, "shape %q", shape)
	}
}

func TestAShapeThatCannotBeCalledIsAnError(t *testing.T) {
	t.Parallel()
	for _, shape := range []provider.Shape{provider.Azure, provider.AzureAD} {
		_, err := provider.New(provider.Config{Shape: shape})
		require.ErrorContains(t, err, string(shape)+": a base URL is needed")
	}
	_, err := provider.New(provider.Config{Shape: "bedrock"})
	require.EqualError(t, err, `provider shape "bedrock": expected openai, azure, azure_ad or anthropic`)
}

func TestAnEndpointThatIsNotSupportedIsAnError(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, nil)
	p := newProvider(t, provider.Config{BaseURL: u.URL})
	for _, endpoint := range []openai.Endpoint{"", "/v1/images/generations", "/v1/chat/completions/", "chat/completions"} {
		_, err := p.Call(t.Context(), llm.Request{Endpoint: endpoint, Body: []byte("{}"), Timeout: time.Minute})
		require.ErrorContains(t, err, `endpoint "`+string(endpoint)+`" cannot be called`)
	}
	require.Empty(t, u.arrivals)
}

// TestADeploymentThatGoOpenAIRefusesCostsItsLine has the one case in which
// go-openai judges the request: Azure needs the model in the URL.
func TestADeploymentThatGoOpenAIRefusesCostsItsLine(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, nil)
	p := newProvider(t, provider.Config{BaseURL: u.URL, Shape: provider.Azure})
	_, err := p.Call(t.Context(), llm.Request{Endpoint: openai.Completions, Model: "gpt-4o", Body: []byte("{}"), Timeout: time.Minute})
	var e *llm.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, llm.Permanent, e.Kind)
	require.Equal(t, llm.CodeInvalid, e.Code)
	require.NotEmpty(t, e.Message)
	require.Empty(t, u.arrivals)
}
