package e2e_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/simulator"
)

// taskHands is how many calls of tasks a service of these tests makes at once.
const taskHands = 40

// TestTasksOutliveKillsOfTheWholeService posts a thousand tasks in every way,
// some of them while the service is killed.
func TestTasksOutliveKillsOfTheWholeService(t *testing.T) {
	t.Parallel()
	const n = 1000
	up := sim(t, simulator.Options{Latency: latency(t, "uniform:50ms,150ms")})
	w, dir, flags := watch(t, up.Simulator), t.TempDir(), []string{"--task-concurrency", fmt.Sprint(taskHands)}
	p, url := dev(t, dir, up.URL(), flags...)
	s := &system{url: url, upstream: up}
	ids := s.addMany(t, n)
	var allowed, before int64
	for range kills {
		w.awaitCalls(before, 1+rand.Int64N(n/kills/2))
		allowed += w.kill(p, taskHands)
		before = up.Stats().Calls
		p, s.url = dev(t, dir, up.URL(), flags...)
	}
	for i, id := range ids {
		o := s.completed(t, id)
		require.Equal(t, fmt.Sprintf("Echo: Task %d", i), o.Get("result.body.choices.0.message.content").Str)
	}
	w.requireRepeatedAtMost(allowed, n)
	require.LessOrEqual(t, up.Stats().PeakInFlight, int64(taskHands))
}

// addMany posts n tasks, one by one and in arrays, and returns their ids in the
// order of their numbers.
func (s *system) addMany(t *testing.T, n int) []string {
	t.Helper()
	task := func(i int) string { return chatTask(chatBody(fmt.Sprintf("Task %d", i), ""), "") }
	ids := make([]string, n)
	var wait sync.WaitGroup
	next := make(chan int, n)
	for i := range n / 2 {
		next <- i
	}
	close(next)
	for range 20 {
		wait.Go(func() {
			for i := range next {
				ids[i] = s.addID(t, task(i))
			}
		})
	}
	for from := n / 2; from < n; from += n / 4 {
		wait.Go(func() {
			var tasks []string
			for i := from; i < from+n/4; i++ {
				tasks = append(tasks, task(i))
			}
			copy(ids[from:], idsOf(s.add(t, list(tasks...))))
		})
	}
	wait.Wait()
	require.NotContains(t, ids, "")
	return ids
}

// TestWhatWasAcceptedBeforeAKillIsDone kills the service while tasks are posted:
// each that got its 202 has its result in the end.
func TestWhatWasAcceptedBeforeAKillIsDone(t *testing.T) {
	t.Parallel()
	const n, posters = 2000, 20
	up, dir := sim(t, simulator.Options{}), t.TempDir()
	p, url := dev(t, dir, up.URL())
	s := &system{url: url, upstream: up}
	var mu sync.Mutex
	var accepted []string
	var wait sync.WaitGroup
	for poster := range posters {
		wait.Go(func() {
			for i := range n / posters {
				id, ok := s.tryAdd(chatTask(chatBody(fmt.Sprintf("Poster %d task %d", poster, i), ""), ""))
				if !ok {
					return
				}
				mu.Lock()
				accepted = append(accepted, id)
				mu.Unlock()
			}
		})
	}
	eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(accepted) > n/4
	}, "too few are accepted")
	p.kill()
	wait.Wait()
	t.Logf("%d of %d tasks were accepted", len(accepted), n)
	_, s.url = dev(t, dir, up.URL())
	for _, id := range accepted {
		s.completed(t, id)
	}
}

// tryAdd posts a task to a service that may be gone.
func (s *system) tryAdd(body string) (id string, ok bool) {
	o := s.trySend(body, "")
	return o.Get("id").Str, o.Exists()
}

// trySend posts tasks to a service that may be gone, and returns what it says if
// it accepts them.
func (s *system) trySend(body, key string) gjson.Result {
	req, err := http.NewRequest(http.MethodPost, s.url+"/v1/tasks", strings.NewReader(body))
	if err != nil {
		return gjson.Result{}
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return gjson.Result{}
	}
	defer func() { _ = res.Body.Close() }()
	content, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusAccepted {
		return gjson.Result{}
	}
	return gjson.ParseBytes(content)
}

// TestARepeatedKeyIsOneTask repeats it before and after a kill, and after the
// end of the task.
func TestARepeatedKeyIsOneTask(t *testing.T) {
	t.Parallel()
	up, dir := sim(t, simulator.Options{Latency: latency(t, "1s")}), t.TempDir()
	p, url := dev(t, dir, up.URL())
	s := &system{url: url, upstream: up}
	body, key := chatTask(chatBody("Once", ""), ""), []string{"Idempotency-Key: once"}
	id := requireOne(t, race(t, 50, http.MethodPost, "/v1/tasks", body, key, s), http.StatusAccepted)
	p.kill()
	_, s.url = dev(t, dir, up.URL())
	o := s.add(t, body, key...)
	require.Equal(t, id, o.Get("id").Str)
	s.completed(t, id)
	r := s.send(t, http.MethodPost, "/v1/tasks", body, key...)
	require.Equal(t, "true", r.header.Get("Idempotency-Replayed"))
	require.Equal(t, id, gjson.GetBytes(r.body, "id").Str)
	require.Len(t, s.page(t, "/v1/tasks").ids, 1)
	require.LessOrEqual(t, up.Stats().Calls, int64(2), "one, and one more if it was in flight at the kill")

	r = s.send(t, http.MethodPost, "/v1/tasks", body+" ", key...)
	require.Equal(t, http.StatusConflict, r.status)
	require.Equal(t, "false", r.header.Get("X-Should-Retry"))
	require.Equal(t, "idempotency_key_reused", gjson.GetBytes(r.body, "error.code").Str)
	r = s.send(t, http.MethodPost, "/v1/tasks", body, "Idempotency-Key: ")
	require.Equal(t, http.StatusBadRequest, r.status)
	require.Equal(t, "invalid_idempotency_key", gjson.GetBytes(r.body, "error.code").Str)
}

func TestARepeatedKeyIsTheSameArrayOfTasks(t *testing.T) {
	t.Parallel()
	s := alone(t)
	var tasks []string
	for i := range 300 { // more than one part
		tasks = append(tasks, chatTask(chatBody(fmt.Sprintf("Array %d", i), ""), ""))
	}
	answers := race(t, 10, http.MethodPost, "/v1/tasks", list(tasks...), []string{"Idempotency-Key: array"}, s)
	want := idsOf(gjson.ParseBytes(answers[0].body))
	require.Len(t, want, 300)
	for _, r := range answers {
		require.Equal(t, http.StatusAccepted, r.status, "%s", r.body)
		require.Equal(t, want, idsOf(gjson.ParseBytes(r.body)))
	}
	for _, id := range want {
		s.completed(t, id)
	}
	require.EqualValues(t, 300, s.upstream.Stats().Calls)
}

func TestARepeatedKeyOfAPassThroughCallIsAnsweredAlike(t *testing.T) {
	t.Parallel()
	s := alone(t)
	body, key := directed("Paid once", "latency=1s"), []string{"Idempotency-Key: paid once"}
	answers := race(t, 10, http.MethodPost, "/v1/chat/completions", body, key, s)
	answers = append(answers, s.send(t, http.MethodPost, "/v1/chat/completions", body, key...))
	firsts := 0
	for _, r := range answers {
		require.Equal(t, http.StatusOK, r.status, "%s", r.body)
		require.Equal(t, string(answers[0].body), string(r.body))
		require.Equal(t, answers[0].header.Get("X-Headrace-Task"), r.header.Get("X-Headrace-Task"))
		if r.header.Get("Idempotency-Replayed") == "" {
			firsts++
		}
	}
	require.Equal(t, 1, firsts)
	require.EqualValues(t, 1, s.upstream.Stats().Calls)
	r := s.send(t, http.MethodPost, "/v1/chat/completions", directed("Another", "latency=1s"), key...)
	require.Equal(t, http.StatusConflict, r.status)
}
