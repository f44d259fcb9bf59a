package e2e_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBothClientsListTheModelsOfTheProvider(t *testing.T) {
	t.Parallel()
	s := shared(t)
	list, err := s.goOpenAI().ListModels(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, list.Models)
	client := s.official()
	page, err := client.Models.List(t.Context())
	require.NoError(t, err)
	require.Len(t, page.Data, len(list.Models))
	one, err := client.Models.Get(t.Context(), "gpt-4o-mini")
	require.NoError(t, err)
	require.Equal(t, "simulator", one.OwnedBy)

	own := &system{url: strings.TrimSuffix(s.upstream.URL(), "/v1")}
	require.Equal(t, own.get(t, "/v1/models").body, s.get(t, "/v1/models").body)
}
