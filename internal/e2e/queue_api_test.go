package e2e_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/simulator"
)

// queue asks for a queue, or changes it, which must succeed.
func (s *system) queue(t *testing.T, method, name, body string) gjson.Result {
	t.Helper()
	r := s.send(t, method, "/v1/queues/"+name, body)
	require.Equal(t, http.StatusOK, r.status, "%s", r.body)
	return gjson.ParseBytes(r.body)
}

// queueNames are those of all queues, as they are listed.
func (s *system) queueNames(t *testing.T) []string {
	t.Helper()
	names := []string{}
	for _, name := range gjson.GetBytes(s.get(t, "/v1/queues").body, "data.#.name").Array() {
		names = append(names, name.Str)
	}
	return names
}

// settings are the limits of a queue, in a form that is compared easily.
func settings(o gjson.Result) string {
	return fmt.Sprintf("%s/%s/%s/%s/%s", o.Get("concurrency").Raw, o.Get("rpm").Raw, o.Get("tpm").Raw, o.Get("paused").Raw, o.Get("weights").Raw)
}

// TestQueuesAreSetWhileNoWorkerIsUp changes queues that nobody keeps yet: each
// change is seen at once, and by the process that comes after.
func TestQueuesAreSetWhileNoWorkerIsUp(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	_, address := devTemporal(t, t.TempDir(), freePort(t), up.URL())
	register(t, address, ownNamespace)
	c := newCluster(t, address, ownNamespace)
	s := &system{url: c.url, upstream: up}

	require.Equal(t, "null/null/null/false/null", settings(s.queue(t, http.MethodGet, "default", "")))
	require.Equal(t, http.StatusNotFound, s.send(t, http.MethodGet, "/v1/queues/q", "").status)
	for _, step := range []struct{ method, body, want string }{
		{http.MethodPut, `{"concurrency":3,"weights":{"a":2}}`, `3/null/null/false/{"a":2}`},
		{http.MethodPatch, `{"rpm":60}`, `3/60/null/false/{"a":2}`},
		{http.MethodPatch, `{"paused":true,"weights":null}`, `3/60/null/true/null`},
		{http.MethodPut, `{"tpm":1000}`, `null/null/1000/false/null`},
		{http.MethodPatch, `{"concurrency":5}`, `5/null/1000/false/null`},
	} {
		o := s.queue(t, step.method, "q", step.body)
		require.Equal(t, step.want, settings(o))
		require.False(t, o.Get("live").Bool())
		require.Equal(t, "null", o.Get("in_flight").Raw)
		require.Equal(t, step.want, settings(s.queue(t, http.MethodGet, "q", "")))
		require.Equal(t, []string{"default", "q"}, s.queueNames(t))
	}
	another := newCluster(t, address, ownNamespace)
	other := &system{url: another.url}
	require.Equal(t, "5/null/1000/false/null", settings(other.queue(t, http.MethodGet, "q", "")), "another store, the same Temporal")
}
