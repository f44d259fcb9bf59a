package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
	workflowpb "go.temporal.io/api/workflow/v1"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/devserver"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
)

// steer sends a command to a batch and returns the answer, which must be a 200.
func steer(t *testing.T, url, method, path, body string) batch.Object {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url+"/v1/batches/"+path, strings.NewReader(body))
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode, "%s", data)
	var o batch.Object
	require.NoError(t, json.Unmarshal(data, &o))
	return o
}

func pause(t *testing.T, url, id string) batch.Object {
	t.Helper()
	return steer(t, url, http.MethodPost, id+"/pause", "")
}

func resume(t *testing.T, url, id string) batch.Object {
	t.Helper()
	return steer(t, url, http.MethodPost, id+"/resume", "")
}

func change(t *testing.T, url, id, body string) batch.Object {
	t.Helper()
	return steer(t, url, http.MethodPatch, id, body)
}

// atMost asks for so many calls at once.
func atMost(n int) string { return fmt.Sprintf(`{"headrace":{"max_concurrency":%d}}`, n) }

// steered is a dev whose Temporal tells which lanes are open.
type steered struct {
	*cluster
	up *simulator.Running
}

// steerable starts one with a provider of the given latency.
func steerable(t *testing.T, providerLatency string) *steered {
	t.Helper()
	up, port := sim(t, simulator.Options{Latency: latency(t, providerLatency)}), freePort(t)
	_, url := dev(t, t.TempDir(), up.URL(), "--temporal-port", strconv.Itoa(port))
	return &steered{up: up, cluster: &cluster{
		t: t, url: url, temporal: fmt.Sprintf("127.0.0.1:%d", port), namespace: devserver.DefaultNamespace,
	}}
}

// awaitRest waits until a batch that is paused has no lane any more, and returns
// when the last call has begun.
func (s *steered) awaitRest(id string) time.Time {
	s.t.Helper()
	s.awaitNoLane(id)
	require.Zero(s.t, s.up.Stats().InFlight)
	return *s.up.Stats().LastArrival
}

// awaitNoLane waits until a batch that is paused holds no worker.
func (c *cluster) awaitNoLane(id string) {
	c.t.Helper()
	awaitBatch(c.t, c.url, id, func(o batch.Object) bool { return o.Headrace.Paused })
	sdk := c.dial()
	poll(c.t, "the end of all lanes", func() bool {
		d, err := sdk.DescribeWorkflowExecution(c.t.Context(), id, "")
		return err == nil && !slices.ContainsFunc(d.GetPendingActivities(), func(a *workflowpb.PendingActivityInfo) bool {
			return a.GetActivityType().GetName() == activities.NameWork
		})
	})
}

// What holds nearly always is measured by bench; a machine that is busy with other
// tests keeps to it now and then.
const soon = time.Second

func TestAPausedBatchStartsNoCallUntilItIsResumed(t *testing.T) {
	t.Parallel()
	const n, hands, times = 20_000, 2 * laneHands, 5
	s := steerable(t, "uniform:50ms,150ms")
	up, url := s.up, s.url
	w := watch(t, up.Simulator)
	id := submit(t, url, requests(n), concurrently(hands)).ID
	fastestStop, fastestStart := patience, patience
	made := int64(0) // before the last reset of the counts
	for range times {
		w.awaitCalls(0, 500)
		begun := time.Now()
		o := pause(t, url, id)
		require.True(t, o.Headrace.Paused)
		require.Equal(t, batch.Paused, o.Headrace.WaitingOn.Reason)
		require.Equal(t, openai.InProgress, o.Status)
		stop := s.awaitRest(id).Sub(begun)
		pause(t, url, id) // once more does no more
		calls := up.Stats().Calls
		o = awaitBatch(t, url, id, func(o batch.Object) bool { return o.RequestCounts.Completed == made+calls })
		require.Equal(t, batch.Paused, o.Headrace.WaitingOn.Reason)
		lasts(t, 500*time.Millisecond)
		require.Equal(t, calls, up.Stats().Calls, "nothing is called while the batch is paused")

		up.ResetStats()
		made += calls
		begun = time.Now()
		require.False(t, resume(t, url, id).Headrace.Paused)
		resume(t, url, id)
		poll(t, "a call", func() bool { return up.Stats().Calls > 0 })
		start := up.Stats().FirstArrival.Sub(begun)
		t.Logf("the last call begins %v after the pause, the first one %v after it is resumed",
			stop.Round(time.Millisecond), start.Round(time.Millisecond))
		fastestStop, fastestStart = min(fastestStop, stop), min(fastestStart, start)
	}
	require.Less(t, fastestStop, soon)
	require.Less(t, fastestStart, soon)
	o := awaitEnd(t, url, id, openai.Completed)
	require.Nil(t, o.Headrace.WaitingOn)
	answers, _ := requireEach(t, url, o, n)
	require.Len(t, answers, n)
	require.LessOrEqual(t, up.Stats().PeakInFlight, int64(hands))
	require.EqualValues(t, n, made+up.Stats().Calls, "no call is made twice")
}

func TestResumingDoesNotWaitForStragglers(t *testing.T) {
	t.Parallel()
	const n, slow, hands = 2000, 3, 2 * laneHands
	up := sim(t, simulator.Options{Latency: latency(t, "50ms")})
	_, url := dev(t, t.TempDir(), up.URL())
	var input strings.Builder
	for i := range slow {
		input.WriteString(request(fmt.Sprintf("r-%d", i+1), "Slow?", `,"user":"sim:latency=8s"`) + "\n")
	}
	for i := slow; i < n; i++ {
		input.WriteString(request(fmt.Sprintf("r-%d", i+1), fmt.Sprintf("Question number %d?", i+1), "") + "\n")
	}
	id := submit(t, url, input.String(), concurrently(hands)).ID
	poll(t, "calls", func() bool { return up.Stats().Succeeded > 200 })
	pause(t, url, id)
	poll(t, "stragglers alone", func() bool { return up.Stats().InFlight == slow })
	// The lanes that have nothing in flight leave; one stays.
	awaitBatch(t, url, id, func(o batch.Object) bool { return o.Headrace.InFlight == slow })
	calls := up.Stats().Calls
	resume(t, url, id)
	poll(t, "all hands at work", func() bool { return up.Stats().InFlight > hands*3/4 })
	require.Greater(t, up.Stats().Calls, calls)
	o := awaitEnd(t, url, id, openai.Completed)
	requireEach(t, url, o, n)
	stats := up.Stats()
	require.LessOrEqual(t, stats.PeakInFlight, int64(hands), "calls that drained are counted too")
	require.EqualValues(t, n, stats.Calls)
}

func TestMaxConcurrencyChangesBothWaysAndNoCallIsCutOff(t *testing.T) {
	t.Parallel()
	const n = 30_000
	up := sim(t, simulator.Options{Latency: latency(t, "uniform:50ms,150ms")})
	w := watch(t, up.Simulator)
	_, url := dev(t, t.TempDir(), up.URL())
	id := submit(t, url, requests(n), concurrently(20)).ID
	for i, hands := range []int64{20, 200, 130, 5, 64, 90, 10, 150} {
		if i > 0 {
			begun := time.Now()
			o := change(t, url, id, atMost(int(hands)))
			require.EqualValues(t, hands, o.Headrace.MaxConcurrency)
			// Calls come and go: it holds when it has held for a while.
			over := begun
			poll(t, fmt.Sprintf("at most %d calls in flight", hands), func() bool {
				if up.Stats().InFlight > hands {
					over = time.Now()
				}
				return time.Since(over) > time.Second
			})
			poll(t, fmt.Sprintf("%d calls in flight", hands), func() bool { return up.Stats().InFlight >= hands*9/10 })
			t.Logf("no more than %d calls are in flight after %v", hands, over.Sub(begun).Round(time.Millisecond))
		}
		up.ResetStats()
		w.awaitCalls(0, 8*hands)
		require.LessOrEqual(t, up.Stats().PeakInFlight, hands)
		require.GreaterOrEqual(t, up.Stats().PeakInFlight, hands*9/10)
	}
	o := awaitEnd(t, url, id, openai.Completed)
	require.Equal(t, 150, o.Headrace.MaxConcurrency)
	requireEach(t, url, o, n)
	require.Zero(t, up.Stats().ClientGone)
}

func TestABatchThatIsPausedWhileItIsValidatedCallsNothing(t *testing.T) {
	t.Parallel()
	const n = 50
	up := sim(t, simulator.Options{})
	c := ownCluster(t)
	id := submit(t, c.url, requests(n), concurrently(4)).ID
	require.Equal(t, openai.Validating, pause(t, c.url, id).Status)
	c.worker(up.URL())
	o := awaitBatch(t, c.url, id, func(o batch.Object) bool { return o.Status == openai.InProgress })
	require.True(t, o.Headrace.Paused)
	require.EqualValues(t, n, o.RequestCounts.Total)
	lasts(t, 500*time.Millisecond)
	require.Zero(t, up.Stats().Calls)
	resume(t, c.url, id)
	requireEach(t, c.url, awaitEnd(t, c.url, id, openai.Completed), n)
}

func TestAPausedBatchIsCancelledAndAborted(t *testing.T) {
	t.Parallel()
	const n = 1000
	for name, how := range map[string]string{"gently": gently, "at once": atOnce} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := steerable(t, "uniform:50ms,150ms")
			up, url := s.up, s.url
			id := submit(t, url, requests(n), concurrently(laneHands)).ID
			poll(t, "calls", func() bool { return up.Stats().Succeeded > 100 })
			pause(t, url, id)
			s.awaitRest(id)
			calls := up.Stats().Calls
			cancel(t, url, id, how)
			o := awaitEnd(t, url, id, openai.Cancelled)
			require.False(t, o.Headrace.Paused)
			require.Nil(t, o.Headrace.WaitingOn)
			answers, failures := requireEach(t, url, o, n)
			requireUnmade(t, failures, openai.CodeBatchCancelled)
			require.Len(t, answers, int(calls), "what was made before the pause is kept")
			require.Equal(t, calls, up.Stats().Calls)
		})
	}
}

func TestAnAbortCutsOffTheCallsThatDrainInAPausedBatch(t *testing.T) {
	t.Parallel()
	const n = 200
	up := sim(t, simulator.Options{Latency: latency(t, "5m")})
	_, url := dev(t, t.TempDir(), up.URL())
	id := submit(t, url, requests(n), concurrently(laneHands)).ID
	poll(t, "calls in flight", func() bool { return up.Stats().InFlight == laneHands })
	pause(t, url, id)
	awaitBatch(t, url, id, func(o batch.Object) bool { return o.Headrace.Paused })
	cancel(t, url, id, atOnce)
	o := awaitEnd(t, url, id, openai.Cancelled)
	_, failures := requireEach(t, url, o, n)
	require.Len(t, failures, n)
	require.EqualValues(t, laneHands, up.Stats().ClientGone)
}

func TestAPausedBatchExpiresWhenItsWindowCloses(t *testing.T) {
	t.Parallel()
	const n = 1000
	s := steerable(t, "uniform:50ms,150ms")
	up, url := s.up, s.url
	created := submit(t, url, requests(n), concurrently(laneHands))
	poll(t, "calls", func() bool { return up.Stats().Succeeded > 100 })
	pause(t, url, created.ID)
	s.awaitRest(created.ID)
	calls := up.Stats().Calls
	o := change(t, url, created.ID, `{"completion_window":"3s"}`)
	require.Equal(t, "3s", o.CompletionWindow)
	require.Equal(t, created.CreatedAt+3, *o.ExpiresAt)
	o = awaitEnd(t, url, created.ID, openai.Expired)
	answers, failures := requireEach(t, url, o, n)
	requireUnmade(t, failures, openai.CodeBatchExpired)
	require.Len(t, answers, int(calls))
}

func TestALongerWindowKeepsABatchFromExpiring(t *testing.T) {
	t.Parallel()
	const n = 40
	up := sim(t, simulator.Options{Latency: latency(t, "500ms")})
	_, url := dev(t, t.TempDir(), up.URL())
	options := concurrently(4)
	options.CompletionWindow = "3s"
	id := submit(t, url, requests(n), options).ID
	change(t, url, id, `{"completion_window":"1h"}`)
	o := awaitEnd(t, url, id, openai.Completed)
	require.Equal(t, "1h", o.CompletionWindow)
	require.Greater(t, *o.CompletedAt, o.CreatedAt+3)
}

func TestTheLastOfManyCommandsWins(t *testing.T) {
	t.Parallel()
	const n, many = 20_000, 40
	s := steerable(t, "uniform:20ms,60ms")
	up, url := s.up, s.url
	w := watch(t, up.Simulator)
	id := submit(t, url, requests(n), concurrently(laneHands)).ID
	w.awaitCalls(0, 100)
	storm := func() {
		var all sync.WaitGroup
		for i := range many {
			all.Go(func() {
				switch i % 3 {
				case 0:
					pause(t, url, id)
				case 1:
					resume(t, url, id)
				default:
					change(t, url, id, atMost(1+i))
				}
			})
		}
		all.Wait()
	}
	storm()
	const last = 31 // which no other command asks for
	change(t, url, id, atMost(last))
	pause(t, url, id)
	awaitBatch(t, url, id, func(o batch.Object) bool { return o.Headrace.MaxConcurrency == last })
	s.awaitRest(id)
	calls := up.Stats().Calls
	lasts(t, time.Second)
	require.Equal(t, calls, up.Stats().Calls)
	storm()
	resume(t, url, id)
	change(t, url, id, atMost(2*laneHands))
	poll(t, "all hands at work", func() bool { return up.Stats().InFlight == 2*laneHands })
	o := awaitEnd(t, url, id, openai.Completed)
	require.Equal(t, 2*laneHands, o.Headrace.MaxConcurrency)
	requireEach(t, url, o, n)
	require.EqualValues(t, n, up.Stats().Calls)
}

func TestABatchStaysPausedThoughItsWorkerIsKilled(t *testing.T) {
	t.Parallel()
	const n, hands = 2000, 2 * laneHands
	up := sim(t, simulator.Options{Latency: latency(t, "uniform:50ms,150ms")})
	w := watch(t, up.Simulator)
	c := ownCluster(t)
	first := c.worker(up.URL())
	id := submit(t, c.url, requests(n), concurrently(hands)).ID
	w.awaitCalls(0, n/5)
	pause(t, c.url, id)
	allowed := w.kill(first, hands) // some calls drain, or lanes have not heard yet
	calls := up.Stats().Calls
	c.worker(up.URL())
	c.awaitNoLane(id) // once the death has been missed
	require.Equal(t, openai.InProgress, awaitBatch(t, c.url, id, func(batch.Object) bool { return true }).Status)
	require.Equal(t, calls, up.Stats().Calls)
	resume(t, c.url, id)
	requireEach(t, c.url, awaitEnd(t, c.url, id, openai.Completed), n)
	w.requireRepeatedAtMost(allowed, n)
}

func TestACallThatWaitsInAQueueMovesWithItsBatch(t *testing.T) {
	t.Parallel()
	const n = 1000
	up := sim(t, simulator.Options{Latency: latency(t, "uniform:50ms,150ms")})
	_, url := dev(t, t.TempDir(), up.URL())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url+"/v1/queues/held", strings.NewReader(`{"paused":true}`))
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)

	id := submit(t, url, requests(n), concurrently(20)).ID
	poll(t, "calls", func() bool { return up.Stats().Succeeded > 100 })
	o := change(t, url, id, `{"headrace":{"queue":"held","priority":"interactive"}}`)
	require.Equal(t, "held", o.Headrace.Queue)
	poll(t, "the end of calls in flight", func() bool { return up.Stats().InFlight == 0 })
	o = awaitBatch(t, url, id, func(o batch.Object) bool { return o.Headrace.WaitingOn != nil })
	require.False(t, o.Headrace.Paused, "it is the queue that is paused")
	require.Zero(t, *o.Headrace.Priority)
	change(t, url, id, `{"headrace":{"queue":"free"}}`)
	requireEach(t, url, awaitEnd(t, url, id, openai.Completed), n)
	require.EqualValues(t, n, up.Stats().Calls)
}

func TestARetryMakesExactlyTheRequestsWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	const n = 600
	up := sim(t, simulator.Options{Latency: latency(t, "uniform:20ms,60ms")})
	_, url := dev(t, t.TempDir(), up.URL())
	var input []string
	for i := range n {
		extra := ""
		if i < n/2 && i%50 == 7 { // fails once, and not the second time
			extra = `,"user":"sim:status=400;fail=1","temperature":0.70`
		}
		input = append(input, request(fmt.Sprintf("r-%d", i+1), fmt.Sprintf("Question number %d?", i+1), extra))
	}
	o := concurrently(8)
	o.Metadata = map[string]string{"night": "14"}
	old := submit(t, url, "\r\n"+strings.Join(input, " \r\n\n"), o)
	poll(t, "calls", func() bool { return up.Stats().Succeeded > n/2 })
	cancel(t, url, old.ID, gently)
	old = awaitEnd(t, url, old.ID, openai.Cancelled)
	answers, failures := requireEach(t, url, old, n)
	require.NotEmpty(t, answers)
	calls := up.Stats().Calls

	again := steer(t, url, http.MethodPost, old.ID+"/retry", `{"headrace":{"max_concurrency":4}}`)
	require.Equal(t, old.ID, again.Headrace.RetryOf)
	require.Equal(t, 4, again.Headrace.MaxConcurrency)
	require.Equal(t, old.Metadata, again.Metadata)
	require.NotEqual(t, old.InputFileID, again.InputFileID)
	again = awaitEnd(t, url, again.ID, openai.Completed)
	var want, missing []string
	for _, line := range failures {
		missing = append(missing, gjson.Get(line, "custom_id").Str)
		var i int
		_, err := fmt.Sscanf(missing[len(missing)-1], "r-%d", &i)
		require.NoError(t, err)
		want = append(want, input[i-1])
	}
	require.Equal(t, want, lines(t, strings.NewReader(content(t, url, &again.InputFileID))), "lines keep their bytes")
	var got []string
	for _, line := range lines(t, strings.NewReader(content(t, url, again.OutputFileID))) {
		got = append(got, gjson.Get(line, "custom_id").Str)
	}
	require.Equal(t, missing, got)
	require.Equal(t, calls+int64(len(missing)), up.Stats().Calls)
}
