package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/simulator"
)

// taskCluster is an API without a worker of its own, on a Temporal that others
// share.
func taskCluster(t *testing.T, up *simulator.Running) (*cluster, *system) {
	t.Helper()
	c := ownCluster(t)
	return c, &system{url: c.url, upstream: up}
}

// taskWorker starts a worker that makes few calls at once.
func (c *cluster) taskWorker(upstream string) *process {
	c.t.Helper()
	p := start(c.t, c.env, append([]string{"worker", "--upstream", upstream, "--task-concurrency", fmt.Sprint(taskHands)}, c.flags()...)...)
	p.await(p.stdout, `worker is ready`)
	return p
}

func TestTasksAreAcceptedWhileNoWorkerIsUp(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	c, s := taskCluster(t, up)
	one := s.addID(t, chatTask(chatBody("One before any worker", ""), ""))
	many := idsOf(s.add(t, list(chatTask(chatBody("Many before any worker", ""), ""), chatTask(chatBody("And more", ""), ""))))
	require.Equal(t, "queued", s.task(t, one).Get("status").Str)
	require.Equal(t, http.StatusOK, s.cancelTask(t, many[1]).status)
	c.worker(up.URL())
	s.completed(t, one)
	s.completed(t, many[0])
	require.Equal(t, "cancelled", s.ended(t, many[1]).Get("status").Str)
	require.EqualValues(t, 2, up.Stats().Calls)
}

func TestTasksOfAWorkerThatIsKilledGoToAnother(t *testing.T) {
	t.Parallel()
	const n = 400
	up := sim(t, simulator.Options{Latency: latency(t, "uniform:200ms,400ms")})
	c, s := taskCluster(t, up)
	first, second := newDoor(t, up.Simulator), newDoor(t, up.Simulator)
	w := watch(t, up.Simulator)
	p := c.taskWorker(first.url)
	ids := s.addMany(t, n)
	w.awaitCalls(0, n/8)
	c.taskWorker(second.url)
	allowed := w.kill(p, taskHands)
	for i, id := range ids {
		o := s.completed(t, id)
		require.Equal(t, fmt.Sprintf("Echo: Task %d", i), o.Get("result.body.choices.0.message.content").Str)
	}
	require.Positive(t, second.calls.Load())
	w.requireRepeatedAtMost(allowed, n)
}

func TestWhatATaskDoesIsSeenFromAnotherProcess(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	c, s := taskCluster(t, up)
	c.worker(up.URL())
	id := s.addID(t, chatTask(directed("Seen from afar", "latency=8s"), ""))
	o := s.awaitTask(t, id, "in progress", calling)
	require.Positive(t, o.Get("started_at").Int())
	var all []event
	s.events(t, "/v1/tasks/"+id+"/events", "", keep(&all))
	requireTaskEvents(t, id, all)
	require.Equal(t, "task.completed", all[len(all)-1].name)

	stuck := s.addID(t, chatTask(directed("Cut off from afar", "stall"), ""))
	eventually(t, func() bool { return up.Stats().InFlight == 1 }, "no call")
	require.Equal(t, http.StatusOK, s.cancelTask(t, stuck).status)
	require.Equal(t, "cancelled", s.ended(t, stuck).Get("status").Str)
	eventually(t, func() bool { return up.Stats().InFlight == 0 }, "the call goes on")

	r := s.send(t, http.MethodPost, "/v1/chat/completions", chatBody("Answered from afar", ""))
	require.Equal(t, http.StatusOK, r.status, "%s", r.body)
	require.Equal(t, "Echo: Answered from afar", gjson.GetBytes(r.body, "choices.0.message.content").Str)
}

func TestALargeArrayOutlivesKills(t *testing.T) {
	t.Parallel()
	const n = 3000
	up := sim(t, simulator.Options{Latency: latency(t, "uniform:50ms,150ms")})
	dir, flags := t.TempDir(), []string{"--task-concurrency", fmt.Sprint(taskHands)}
	w := watch(t, up.Simulator)
	p, url := dev(t, dir, up.URL(), flags...)
	s := &system{url: url, upstream: up}
	tasks := make([]string, n)
	for i := range tasks {
		tasks[i] = chatTask(chatBody(fmt.Sprintf("Large array %d", i), ""), "")
	}
	ids := idsOf(s.add(t, list(tasks...)))
	require.Len(t, ids, n)
	var allowed, before int64
	for range 2 {
		w.awaitCalls(before, n/6)
		allowed += w.kill(p, taskHands)
		before = up.Stats().Calls
		p, s.url = dev(t, dir, up.URL(), flags...)
	}
	for i, id := range ids {
		o := s.completed(t, id)
		require.Equal(t, fmt.Sprintf("Echo: Large array %d", i), o.Get("result.body.choices.0.message.content").Str)
	}
	w.requireRepeatedAtMost(allowed, n)
}

// TestACallGoesOnWhenItsClientLeaves leaves while the provider works.
func TestACallGoesOnWhenItsClientLeaves(t *testing.T) {
	t.Parallel()
	s := alone(t)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1/chat/completions",
		strings.NewReader(directed("Nobody waits", "latency=3s")))
	require.NoError(t, err)
	go func() {
		for s.upstream.Stats().InFlight == 0 && t.Context().Err() == nil {
			time.Sleep(pollEvery)
		}
		leave()
	}()
	_, err = http.DefaultClient.Do(req) //nolint:bodyclose // there is none
	require.ErrorIs(t, err, context.Canceled)
	var ids []string
	eventually(t, func() bool {
		ids = s.page(t, "/v1/tasks").ids
		return len(ids) == 1
	}, "the task is not listed")
	require.Equal(t, "Echo: Nobody waits", s.completed(t, ids[0]).Get("result.body.choices.0.message.content").Str)
	require.EqualValues(t, 1, s.upstream.Stats().Calls)
}
