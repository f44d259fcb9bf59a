package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/api"
	"github.com/headrace/headrace/internal/dispatch"
	"github.com/headrace/headrace/internal/llm/provider"
	"github.com/headrace/headrace/internal/simulator"
)

// modelRoute is a route to a simulator with some models.
func modelRoute(t *testing.T, name string, pattern string, models ...string) (dispatch.Route, *httptest.Server) {
	t.Helper()
	s, err := simulator.New(simulator.Options{Models: models})
	require.NoError(t, err)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	p, err := provider.New(provider.Config{BaseURL: server.URL + "/v1"})
	require.NoError(t, err)
	t.Cleanup(p.Close)
	route := dispatch.Route{Name: name, Provider: p}
	if pattern != "" {
		parsed, err := dispatch.ParsePattern(pattern)
		require.NoError(t, err)
		route.Models = []dispatch.Pattern{parsed}
	}
	return route, server
}

func ids(answer api.ModelAnswer) []string {
	var all []string
	for _, id := range gjson.GetBytes(answer.Body, "data.#.id").Array() {
		all = append(all, id.Str)
	}
	return all
}

func TestTheModelsOfAllProvidersAreListedOnce(t *testing.T) {
	t.Parallel()
	a, up := modelRoute(t, "a", "", "x", "both")
	b, other := modelRoute(t, "b", "b-*", "both", "y")
	m := newModels([]dispatch.Route{a, b})
	list, err := m.Models(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, []string{"x", "both", "y"}, ids(list))
	require.Equal(t, "list", gjson.GetBytes(list.Body, "object").Str)

	up.Close()
	list, err = m.Models(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, []string{"both", "y"}, ids(list))

	other.Close()
	_, err = m.Models(t.Context(), "")
	require.Error(t, err)
}

func TestAModelIsAskedForWhereItsCallsGoAndThenElsewhere(t *testing.T) {
	t.Parallel()
	a, _ := modelRoute(t, "a", "", "x", "b-1")
	b, down := modelRoute(t, "b", "b-*", "y", "b-1")
	m := newModels([]dispatch.Route{a, b})
	for name, status := range map[string]int{"x": 200, "y": 200, "b-1": 200, "nobody": 404} {
		answer, err := m.Models(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, status, answer.Status, name)
	}
	down.Close()
	answer, err := m.Models(t.Context(), "b-1")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.Status)
	_, err = m.Models(t.Context(), "../files")
	require.ErrorIs(t, err, api.ErrNoModelName)
}
