package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/simulator"
)

// script is a provider that notes what it is asked, and answers as it is told to.
type script struct {
	url string

	mu       sync.Mutex
	prompts  []string
	arrivals []time.Time
	refuse   time.Duration // answers 429 with this Retry-After
}

func newScript(t *testing.T) *script {
	t.Helper()
	s := &script{}
	server := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(server.Close)
	s.url = server.URL + "/v1"
	return s
}

func (s *script) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prompts = append(s.prompts, gjson.GetBytes(body, "messages.0.content").Str)
	s.arrivals = append(s.arrivals, time.Now())
	w.Header().Set("Content-Type", "application/json")
	if s.refuse > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(int(s.refuse.Seconds())))
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, `{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}`)
		return
	}
	_, _ = io.WriteString(w, `{"id":"1","object":"chat.completion","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`)
}

func (s *script) seen() (prompts []string, arrivals []time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.prompts...), append([]time.Time(nil), s.arrivals...)
}

func (s *script) throttle(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = d
}

// inQueue adds n tasks to a queue.
func (s *system) inQueue(t *testing.T, queue string, n int, what string) []string {
	t.Helper()
	tasks := make([]string, n)
	for i := range tasks {
		tasks[i] = chatTask(chatBody(fmt.Sprintf("%s %d", what, i), ""), fmt.Sprintf(`,"queue":%q`, queue))
	}
	return idsOf(s.add(t, list(tasks...)))
}

// waits polls until so many calls wait in a queue.
func (s *system) waits(t *testing.T, queue string, n int64) {
	t.Helper()
	poll(t, fmt.Sprintf("%d calls to wait in %s", n, queue), func() bool {
		waiting := s.queue(t, http.MethodGet, queue, "").Get("waiting")
		return waiting.Get("interactive").Int()+waiting.Get("batch").Int() == n
	})
}

func TestAQueuesConcurrencyHoldsWhileWorkersAreKilledFrozenAndAdded(t *testing.T) {
	t.Parallel()
	const most, tasks = 6, 240
	up := sim(t, simulator.Options{Latency: latency(t, "uniform:100ms,400ms")})
	c, s := taskCluster(t, up)
	s.queue(t, http.MethodPut, "narrow", fmt.Sprintf(`{"concurrency":%d}`, most))
	workers := []*process{c.worker(up.URL()), c.worker(up.URL()), c.worker(up.URL())}
	var ids []string
	for i := range 6 {
		ids = append(ids, s.inQueue(t, "narrow", tasks/6, fmt.Sprintf("Narrow %d", i))...)
	}
	w := watch(t, up.Simulator)
	w.awaitCalls(0, tasks/8)
	workers[0].kill()
	w.awaitCalls(up.Stats().Calls, tasks/8)
	workers[1].signal(syscall.SIGSTOP)
	c.worker(up.URL())
	w.awaitCalls(up.Stats().Calls, tasks/8)
	workers[1].signal(syscall.SIGCONT)
	for _, id := range ids {
		s.completed(t, id)
	}
	stats := up.Stats()
	require.LessOrEqual(t, stats.PeakInFlight, int64(most))
	require.EqualValues(t, tasks, stats.DistinctBodies)
	t.Logf("peak %d of %d, %d calls repeated", stats.PeakInFlight, most, stats.DuplicateCalls)
}

func TestASequentialQueueKeepsItsOrderThroughPausesAndDeaths(t *testing.T) {
	t.Parallel()
	const tasks = 10
	up := newScript(t)
	c, s := taskCluster(t, nil)
	s.queue(t, http.MethodPut, "line", `{"concurrency":1,"paused":true}`)
	dies := c.worker(up.url)
	c.worker(up.url)
	var ids, expected []string
	for i := range tasks {
		ids = append(ids, s.inQueue(t, "line", 1, fmt.Sprintf("Number %d,", i))...)
		expected = append(expected, fmt.Sprintf("Number %d, 0", i))
	}
	s.waits(t, "line", tasks)
	last := ids[tasks-1]
	eventually(t, func() bool { return s.task(t, last).Get("waiting_on.reason").Str == "paused" }, "%s", s.task(t, last).Raw)
	dies.kill()
	s.waits(t, "line", tasks) // in the other worker
	prompts, _ := up.seen()
	require.Empty(t, prompts, "the queue is paused")

	s.queue(t, http.MethodPatch, "line", `{"paused":false}`)
	for _, id := range ids {
		s.completed(t, id)
	}
	prompts, _ = up.seen()
	require.Equal(t, expected, prompts)
}

// TestASequentialQueueRunsBatchesOfOneSecondInTurn has lanes of several batches, in
// two workers, and a group of tasks whose parts are in both.
func TestASequentialQueueRunsBatchesOfOneSecondInTurn(t *testing.T) {
	t.Parallel()
	const batches, lines, tasks = 5, 4, 300
	up := newScript(t)
	c, s := taskCluster(t, nil)
	s.queue(t, http.MethodPut, "line", `{"concurrency":1,"paused":true}`)
	c.worker(up.url)
	c.worker(up.url)
	var files, ids, expected []string
	for i := range batches {
		var input []string
		for j := range lines {
			input = append(input, request(fmt.Sprint(j), fmt.Sprintf("Batch %d, %d", i, j), ""))
		}
		files = append(files, s.upload(t, strings.Join(input, "\n")))
	}
	for i, file := range files {
		ids = append(ids, s.create(t, file, `,"headrace":{"queue":"line","priority":"interactive"}`))
		for j := range lines {
			expected = append(expected, fmt.Sprintf("Batch %d, %d", i, j))
		}
	}
	group := s.inQueue(t, "line", tasks, "Task")
	for i := range tasks {
		expected = append(expected, fmt.Sprintf("Task %d", i))
	}
	s.waits(t, "line", batches*lines+tasks)
	s.queue(t, http.MethodPatch, "line", `{"paused":false}`)
	for _, id := range ids {
		s.until(t, id, "completed")
	}
	for _, id := range group {
		s.completed(t, id)
	}
	prompts, _ := up.seen()
	require.Equal(t, expected, prompts)
}

func TestARetryAfterHoldsForEveryWorkerAndCostsNoAttempt(t *testing.T) {
	t.Parallel()
	const pause = 8 * time.Second
	up := newScript(t)
	c, s := taskCluster(t, nil)
	for range 3 {
		c.worker(up.url)
	}
	for i := range 9 { // so that every worker is in the queue
		s.completed(t, s.inQueue(t, "shy", 1, fmt.Sprintf("Warm %d", i))[0])
	}
	poll(t, "three workers in the queue", func() bool {
		for range 6 {
			s.inQueue(t, "shy", 1, "More")
		}
		return len(s.queue(t, http.MethodGet, "shy", "").Get("workers").Array()) == 3
	})
	up.throttle(pause)
	_, before := up.seen()
	first := s.inQueue(t, "shy", 1, "First")[0]
	eventually(t, func() bool { _, now := up.seen(); return len(now) > len(before) }, "nobody calls")
	eventually(t, func() bool {
		return len(s.queue(t, http.MethodGet, "shy", "").Get("cooldowns").Array()) == 1
	}, "the cool-down is not known")
	var ids []string
	for i := range 30 {
		ids = append(ids, s.inQueue(t, "shy", 1, fmt.Sprintf("Held %d", i))...)
	}
	_, arrivals := up.seen()
	refused := arrivals[len(before)]
	up.throttle(0)
	for _, id := range append(ids, first) {
		o := s.completed(t, id)
		require.LessOrEqual(t, len(o.Get("attempts").Array()), 2, o.Raw)
	}
	_, arrivals = up.seen()
	early := 0
	for _, at := range arrivals[len(before)+1:] {
		if at.Sub(refused) < pause-time.Second {
			early++
		}
	}
	require.LessOrEqual(t, early, 3, "calls of all workers before the pause was over")
}
