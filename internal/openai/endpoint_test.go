package openai_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/openai"
)

func TestEndpointsAreValidAndHaveTitles(t *testing.T) {
	t.Parallel()
	titles := map[openai.Endpoint]string{
		"/v1/responses": "Responses", "/v1/chat/completions": "Chat Completions", "/v1/embeddings": "Embeddings",
		"/v1/completions": "Completions", "/v1/moderations": "Moderations",
	}
	require.Len(t, openai.Endpoints(), len(titles))
	for _, e := range openai.Endpoints() {
		require.True(t, e.Valid(), e)
		require.Equal(t, titles[e], e.Title())
	}
}

func TestOtherPathsAreNoEndpoints(t *testing.T) {
	t.Parallel()
	for _, e := range []openai.Endpoint{"", "/", "/v1", "/v1/chat/completions/", "/V1/CHAT/COMPLETIONS", "v1/embeddings", "/v1/images/generations", "/v1/files"} {
		require.False(t, e.Valid(), e)
		require.Equal(t, string(e), e.Title(), "named as it was written")
	}
}

func TestTheListOfEndpointsIsTheCallersOwn(t *testing.T) {
	t.Parallel()
	openai.Endpoints()[0] = "/v1/nonsense"
	require.NotContains(t, openai.Endpoints(), openai.Endpoint("/v1/nonsense"))
}
