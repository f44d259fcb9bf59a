package e2e_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/simulator"
)

func TestWaitingForATaskEndsWhenItEnds(t *testing.T) {
	t.Parallel()
	s := shared(t)
	id := s.addID(t, chatTask(directed("Takes a second", "latency=1s"), ""))
	begun := time.Now()
	o := gjson.ParseBytes(s.get(t, "/v1/tasks/"+id+"?wait=200ms").body)
	require.GreaterOrEqual(t, time.Since(begun), 200*time.Millisecond)
	require.Contains(t, []string{"queued", "in_progress"}, o.Get("status").Str)
	require.Equal(t, "null", o.Get("result").Raw)
	begun = time.Now()
	o = gjson.ParseBytes(s.get(t, "/v1/tasks/"+id+"?wait=60s").body)
	require.Equal(t, "completed", o.Get("status").Str)
	require.Less(t, time.Since(begun), 30*time.Second)
	require.Equal(t, o.Raw, string(s.get(t, "/v1/tasks/"+id+"?wait=60s").body), "what has ended is not waited for")
}

func TestTasksAreListedNewestFirst(t *testing.T) {
	t.Parallel()
	s := alone(t)
	require.Equal(t, page{ids: []string{}}, s.page(t, "/v1/tasks"))
	var ids []string // newest first
	for i := range 7 {
		ids = append([]string{s.addID(t, chatTask(chatBody(fmt.Sprintf("Listed %d", i), ""), ""))}, ids...)
	}
	for _, id := range ids {
		s.completed(t, id)
	}
	of := func(from, to int) page {
		return page{ids: ids[from:to], first: ids[from], last: ids[to-1], more: to < len(ids)}
	}
	require.Equal(t, of(0, 7), s.page(t, "/v1/tasks"))
	require.Equal(t, of(0, 3), s.page(t, "/v1/tasks?limit=3"))
	require.Equal(t, of(3, 6), s.page(t, "/v1/tasks?limit=3&after="+ids[2]))
	require.Equal(t, of(6, 7), s.page(t, "/v1/tasks?limit=3&after="+ids[5]))
	require.Equal(t, page{ids: []string{}}, s.page(t, "/v1/tasks?after="+ids[6]))
	for _, wrong := range []string{"limit=0", "limit=101", "limit=x", "after=x", "after=" + unknownBatch} {
		r := s.send(t, http.MethodGet, "/v1/tasks?"+wrong, "")
		require.Equal(t, http.StatusBadRequest, r.status, "%s: %s", wrong, r.body)
		require.Contains(t, wrong, gjson.GetBytes(r.body, "error.param").Str)
	}
}

// TestTheTasksOfAnArrayArePagedInItsOrder has pages that end within an array.
func TestTheTasksOfAnArrayArePagedInItsOrder(t *testing.T) {
	t.Parallel()
	s := alone(t)
	tasks := make([]string, 300)
	for i := range tasks {
		tasks[i] = chatTask(chatBody(fmt.Sprintf("Paged %d", i), ""), "")
	}
	want := idsOf(s.add(t, list(tasks...)))
	for _, id := range want {
		s.completed(t, id)
	}
	var got []string
	for after := ""; ; after = "&after=" + got[len(got)-1] {
		p := s.page(t, "/v1/tasks?limit=70"+after)
		got = append(got, p.ids...)
		if !p.more {
			break
		}
	}
	require.Equal(t, want, got)
}

func TestTasksAreListedByTheirStatus(t *testing.T) {
	t.Parallel()
	s := alone(t)
	completed := s.addID(t, chatTask(chatBody("Completes", ""), ""))
	s.completed(t, completed)
	failed := s.addID(t, chatTask(directed("Fails", "status=400"), ""))
	s.ended(t, failed)
	running := s.addID(t, chatTask(directed("Runs", "stall"), ""))
	s.awaitTask(t, running, "in progress", calling)
	queued := s.addID(t, chatTask(chatBody("Waits", ""), `,"not_before":"1h"`))
	cancelled := s.addID(t, chatTask(chatBody("Is cancelled", ""), `,"not_before":"1h"`))
	require.Equal(t, http.StatusOK, s.cancelTask(t, cancelled).status)
	s.ended(t, cancelled)
	for status, id := range map[string]string{
		"completed": completed, "failed": failed, "in_progress": running, "queued": queued, "cancelled": cancelled,
	} {
		require.Equal(t, []string{id}, s.page(t, "/v1/tasks?status="+status).ids, status)
	}
	require.Len(t, s.page(t, "/v1/tasks").ids, 5)
	r := s.send(t, http.MethodGet, "/v1/tasks?status=lost", "")
	require.Equal(t, http.StatusBadRequest, r.status)
	require.Equal(t, "status", gjson.GetBytes(r.body, "error.param").Str)
}

func TestAQueuedTaskIsCancelledWithoutACall(t *testing.T) {
	t.Parallel()
	s := alone(t, "--task-concurrency", "1")
	first := s.addID(t, chatTask(directed("Holds the only hand", "stall"), ""))
	s.awaitTask(t, first, "in progress", calling)
	body := chatBody("Queued behind", "")
	second := s.addID(t, chatTask(body, ""))
	require.Equal(t, http.StatusOK, s.cancelTask(t, second).status)
	o := s.ended(t, second)
	require.Equal(t, "cancelled", o.Get("status").Str)
	require.Equal(t, "task_cancelled", o.Get("error.code").Str)
	require.Equal(t, "null", o.Get("started_at").Raw)
	require.Equal(t, 0, s.upstream.Calls([]byte(body)))
}

func TestACallInFlightIsCutOffWhenItsTaskIsCancelled(t *testing.T) {
	t.Parallel()
	s := alone(t)
	id := s.addID(t, chatTask(directed("Is cut off", "stall"), ""))
	s.awaitTask(t, id, "in progress", calling)
	eventually(t, func() bool { return s.upstream.Stats().InFlight == 1 }, "no call")
	r := s.cancelTask(t, id)
	require.Equal(t, http.StatusOK, r.status, "%s", r.body)
	o := s.ended(t, id)
	require.Equal(t, "cancelled", o.Get("status").Str)
	require.Equal(t, "task_cancelled", o.Get("error.code").Str)
	eventually(t, func() bool { return s.upstream.Stats().InFlight == 0 }, "the call goes on")
	require.EqualValues(t, 1, s.upstream.Stats().Calls)

	r = s.cancelTask(t, id)
	require.Equal(t, http.StatusOK, r.status, "cancelling twice is no error: %s", r.body)
	require.Equal(t, "cancelled", gjson.GetBytes(r.body, "status").Str)
}

func TestATaskThatHasEndedCannotBeCancelled(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, body := range []string{chatBody("Has completed", ""), directed("Has failed", "status=400")} {
		id := s.addID(t, chatTask(body, ""))
		o := s.ended(t, id)
		r := s.cancelTask(t, id)
		require.Equal(t, http.StatusConflict, r.status, "%s", r.body)
		require.Equal(t, "false", r.header.Get("X-Should-Retry"))
		require.Equal(t, o.Raw, s.task(t, id).Raw)
	}
}

func TestOneTaskOfManyIsCancelledAlone(t *testing.T) {
	t.Parallel()
	s := alone(t)
	ids := idsOf(s.add(t, list(
		chatTask(directed("First of three", "latency=2s"), ""),
		chatTask(directed("Second of three", "stall"), ""),
		chatTask(directed("Third of three", "latency=2s"), ""),
	)))
	s.awaitTask(t, ids[1], "in progress", calling)
	require.Equal(t, http.StatusOK, s.cancelTask(t, ids[1]).status)
	require.Equal(t, "cancelled", s.ended(t, ids[1]).Get("status").Str)
	s.completed(t, ids[0])
	s.completed(t, ids[2])
}

func TestATaskIsNotMadeBeforeItsTime(t *testing.T) {
	t.Parallel()
	for name, spell := range map[string]func(time.Time) string{
		"duration":     func(at time.Time) string { return fmt.Sprintf("%q", time.Until(at).String()) },
		"unix seconds": func(at time.Time) string { return fmt.Sprint(at.Unix()) },
		"RFC 3339":     func(at time.Time) string { return fmt.Sprintf("%q", at.UTC().Format(time.RFC3339)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := alone(t)
			at := time.Now().Add(5 * time.Second).Truncate(time.Second)
			o := s.add(t, chatTask(chatBody("Not before", ""), `,"not_before":`+spell(at)))
			require.InDelta(t, at.Unix(), o.Get("not_before").Int(), 1)
			require.Equal(t, "queued", o.Get("status").Str)
			o = s.completed(t, o.Get("id").Str)
			require.False(t, s.upstream.Stats().FirstArrival.Before(at))
			require.GreaterOrEqual(t, o.Get("started_at").Int(), o.Get("not_before").Int())
		})
	}
}

func TestATaskForLaterSurvivesAKill(t *testing.T) {
	t.Parallel()
	up, dir := sim(t, simulator.Options{}), t.TempDir()
	p, url := dev(t, dir, up.URL())
	s := &system{url: url, upstream: up}
	earliest := time.Now().Add(6 * time.Second)
	id := s.addID(t, chatTask(chatBody("Later", ""), `,"not_before":"6s"`))
	p.kill()
	_, s.url = dev(t, dir, up.URL())
	s.completed(t, id)
	require.False(t, up.Stats().FirstArrival.Before(earliest))
	require.EqualValues(t, 1, up.Stats().Calls)
}

func TestADeadlineEndsATaskWhateverItDoes(t *testing.T) {
	t.Parallel()
	s := alone(t)
	calling := s.addID(t, chatTask(directed("Never answers", "stall"), `,"deadline":"3s"`))
	failing := s.addID(t, chatTask(directed("Always fails", "status=500"), `,"deadline":"3s","max_attempts":100`))
	begun := time.Now()
	for name, id := range map[string]string{"calling": calling, "failing": failing} {
		o := s.ended(t, id)
		require.Equal(t, "failed", o.Get("status").Str, "%s: %s", name, o.Raw)
		require.Equal(t, "deadline_exceeded", o.Get("error.code").Str, "%s: %s", name, o.Raw)
	}
	require.Less(t, time.Since(begun), 30*time.Second)
	eventually(t, func() bool { return s.upstream.Stats().InFlight == 0 }, "the call goes on")
}

func TestADeadlineEndsATaskThatNeverHadItsTurn(t *testing.T) {
	t.Parallel()
	s := alone(t, "--task-concurrency", "1")
	first := s.addID(t, chatTask(directed("Holds the hand", "stall"), ""))
	s.awaitTask(t, first, "in progress", calling)
	o := s.ended(t, s.addID(t, chatTask(chatBody("Waits for a hand", ""), `,"deadline":"2s"`)))
	require.Equal(t, "failed", o.Get("status").Str, "%s", o.Raw)
	require.Equal(t, "deadline_exceeded", o.Get("error.code").Str)
	require.Empty(t, o.Get("attempts").Array())
	require.EqualValues(t, 1, s.upstream.Stats().Calls)
}

func TestThePriorityOrdersWhatWaits(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	booth := newBooth(t, up.Simulator)
	_, url := dev(t, t.TempDir(), booth.url, "--task-concurrency", "1")
	s := &system{url: url, upstream: up}
	first := s.addID(t, chatTask(directed("first", "latency=5s"), ""))
	s.awaitTask(t, first, "in progress", calling)
	var ids []string
	for _, priority := range []int{0, 10, -5, 100, 10, -100} {
		ids = append(ids, s.addID(t, chatTask(chatBody(fmt.Sprint(len(ids)), ""), fmt.Sprintf(`,"priority":%d`, priority))))
	}
	for _, id := range ids {
		s.completed(t, id)
	}
	require.Equal(t, []string{"first", "3", "1", "4", "0", "2", "5"}, booth.prompts())
	require.EqualValues(t, 1, up.Stats().PeakInFlight)
}

// TestALongPauseIsWaitedForWithoutACall kills the service in the middle of it.
func TestALongPauseIsWaitedForWithoutACall(t *testing.T) {
	t.Parallel()
	const pause, handedBack = 15 * time.Second, 2 * time.Second
	up, dir := sim(t, simulator.Options{}), t.TempDir()
	p, url := dev(t, dir, up.URL())
	s := &system{url: url, upstream: up}
	begun := time.Now()
	id := s.addID(t, chatTask(directed("Too many", "status=429;retry-after=15;fail=1"), ""))
	o := s.awaitTask(t, id, "waiting", func(o gjson.Result) bool { return o.Get("waiting_on").IsObject() })
	require.Equal(t, "rate_limited", o.Get("waiting_on.reason").Str)
	require.NotEmpty(t, o.Get("waiting_on.message").Str)
	require.InDelta(t, begun.Add(pause).Unix(), o.Get("waiting_on.until").Int(), 5)
	lasts(t, handedBack) // by now the task is nowhere but in Temporal
	p.kill()
	_, s.url = dev(t, dir, up.URL())
	o = s.completed(t, id)
	require.GreaterOrEqual(t, up.Stats().LastArrival.Sub(*up.Stats().FirstArrival), pause-time.Second)
	require.EqualValues(t, 2, up.Stats().Calls)
	attempts := o.Get("attempts").Array()
	require.Len(t, attempts, 2, "%s", o.Raw)
	require.EqualValues(t, 429, attempts[0].Get("error.status_code").Int())
	require.GreaterOrEqual(t, attempts[1].Get("started_at").Int()-attempts[0].Get("started_at").Int(), int64(pause.Seconds())-1)
}
