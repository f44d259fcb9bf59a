package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
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

// TestQueuesAreSetWhileNoWorkerIsUp changes a queue that nobody keeps yet, and
// one whose keeper was killed: each change is seen at once, and in force when a
// worker comes.
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
	another := &system{url: newCluster(t, address, ownNamespace).url}
	require.Equal(t, "5/null/1000/false/null", settings(another.queue(t, http.MethodGet, "q", "")), "another store, the same Temporal")

	live := func(want string) {
		eventually(t, func() bool { return s.queue(t, http.MethodGet, "q", "").Get("live").Bool() }, "the queue never answers")
		require.Equal(t, want, settings(s.queue(t, http.MethodGet, "q", "")))
	}
	worker := c.worker(up.URL())
	live("5/null/1000/false/null")
	worker.kill()
	require.Equal(t, "5/9/1000/false/null", settings(s.queue(t, http.MethodPatch, "q", `{"rpm":9}`)))
	o := s.queue(t, http.MethodGet, "q", "")
	require.Equal(t, "5/9/1000/false/null", settings(o))
	require.False(t, o.Get("live").Bool())
	c.worker(up.URL())
	live("5/9/1000/false/null")
}

// TestAPausedQueueHoldsItsTasksUntilItIsResumed speaks through the command, as
// an operator does.
func TestAPausedQueueHoldsItsTasksUntilItIsResumed(t *testing.T) {
	t.Parallel()
	s := shared(t)
	operate := func(args ...string) string {
		p := start(t, nil, append([]string{"queue", "--server", s.url}, args...)...)
		require.Equal(t, 0, p.wait(), "%s", p.stderr)
		return p.stdout.String()
	}
	require.Contains(t, operate("pause", "e2e-held"), "paused")
	eventually(t, func() bool { // a worker that has used it before hears of it in a moment
		for _, permits := range s.queue(t, http.MethodGet, "e2e-held", "").Get("workers.#.permits").Array() {
			if permits.Raw != "0" {
				return false
			}
		}
		return true
	}, "the pause is never in force")
	id := s.addID(t, chatTask(chatBody("Is this queue paused?", ""), `,"queue":"e2e-held"`))
	s.awaitTask(t, id, "held", func(o gjson.Result) bool { return o.Get("waiting_on.reason").Str == "paused" })
	var o gjson.Result
	eventually(t, func() bool {
		o = s.queue(t, http.MethodGet, "e2e-held?task="+id, "")
		return o.Get("waiting.interactive").Int() == 1 && o.Get("task.position").Int() == 1
	}, "the queue does not tell of the task that waits: %s", &o)
	require.True(t, o.Get("live").Bool())
	require.Zero(t, o.Get("in_flight.interactive").Int())
	require.Empty(t, s.task(t, id).Get("attempts").Array())
	require.Regexp(t, `e2e-held +- +- +- +paused +0 +1 `, operate("ls"))

	require.Contains(t, operate("resume", "e2e-held"), "open")
	s.completed(t, id)
	require.Equal(t, "null", s.queue(t, http.MethodGet, "e2e-held?task="+id, "").Get("task.position").Raw)
}

// TestAQueueTellsWhoHoldsItsPermits looks at a queue that is full.
func TestAQueueTellsWhoHoldsItsPermits(t *testing.T) {
	t.Parallel()
	s := shared(t)
	o := s.queue(t, http.MethodPut, "e2e-full", `{"concurrency":2}`)
	require.True(t, o.Get("live").Bool(), "%s", o)
	require.Equal(t, "2/null/null/false/null", settings(o))
	tasks := make([]string, 5)
	for i := range tasks {
		tasks[i] = chatTask(directed(fmt.Sprintf("Full %d", i), "latency=4s"), `,"queue":"e2e-full"`)
	}
	ids := idsOf(s.add(t, list(tasks...)))
	eventually(t, func() bool {
		o = s.queue(t, http.MethodGet, "e2e-full", "")
		return o.Get("in_flight.interactive").Int() == 2 && o.Get("waiting.interactive").Int() == 3
	}, "the queue does not tell of its calls: %s", &o)
	require.Len(t, o.Get("workers").Array(), 1)
	require.EqualValues(t, 2, o.Get("workers.0.permits").Int())
	require.NotEmpty(t, o.Get("workers.0.name").Str)
	require.Greater(t, o.Get("workers.0.expires_at").Int(), int64(1_700_000_000))

	require.Equal(t, "5/null/null/false/null", settings(s.queue(t, http.MethodPatch, "e2e-full", `{"concurrency":5}`)))
	for _, id := range ids {
		s.completed(t, id)
	}
}

// TestQueuesInUseAreListedWithoutHavingBeenSet has a queue that only a task
// names, and one whose settings are taken away.
func TestQueuesInUseAreListedWithoutHavingBeenSet(t *testing.T) {
	t.Parallel()
	s := shared(t)
	id := s.addID(t, chatTask(directed("Which queue?", "latency=5s"), `,"queue":"e2e-used"`))
	eventually(t, func() bool { return slices.Contains(s.queueNames(t), "e2e-used") }, "the queue in use is never listed")
	require.True(t, s.queue(t, http.MethodGet, "e2e-used", "").Get("live").Bool())
	s.completed(t, id)

	require.Equal(t, "null/7/null/false/null", settings(s.queue(t, http.MethodPut, "e2e-emptied", `{"rpm":7}`)))
	require.Contains(t, s.queueNames(t), "e2e-emptied")
	for range 2 {
		require.Equal(t, "null/null/null/false/null", settings(s.queue(t, http.MethodPut, "e2e-emptied", "{}")))
	}
	require.Equal(t, "null/null/null/false/null", settings(s.queue(t, http.MethodGet, "e2e-emptied", "")))
}
