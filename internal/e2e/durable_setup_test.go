package e2e_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/client"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
)

// What a crash may repeat: the calls in flight, and those that finished so
// shortly before it that their results were not yet on the disk.
const (
	laneHands = batch.HandsPerLane
	unsafe    = 250 * time.Millisecond
)

// flowAgain is how long calls may stand still after a restart.
const flowAgain = 10 * time.Second

// poll looks until what it looks for is there.
func poll(t *testing.T, what string, there func() bool) {
	t.Helper()
	const every = 10 * time.Millisecond
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for deadline := time.Now().Add(2 * patience); !there(); <-ticker.C {
		if time.Now().After(deadline) {
			require.Fail(t, "waited in vain", "for %s", what)
		}
	}
}

// witness watches a simulator, so that it can tell how many calls finished
// within any span of time.
type witness struct {
	t   *testing.T
	sim *simulator.Simulator

	mu      sync.Mutex
	samples []sample
}

type sample struct {
	at               time.Time
	calls, succeeded int64
}

// watch begins to watch until the test ends.
func watch(t *testing.T, up *simulator.Simulator) *witness {
	t.Helper()
	w := &witness{t: t, sim: up}
	w.look()
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		const every = 10 * time.Millisecond
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				w.look()
			}
		}
	}()
	t.Cleanup(func() {
		close(done)
		<-ended
	})
	return w
}

func (w *witness) look() {
	at, stats := time.Now(), w.sim.Stats()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.samples = append(w.samples, sample{at: at, calls: stats.Calls, succeeded: stats.Succeeded})
}

// finishedSince counts the calls that have finished since then, and a few
// milliseconds more.
func (w *witness) finishedSince(then time.Time) int64 {
	now := w.sim.Stats().Succeeded
	w.mu.Lock()
	defer w.mu.Unlock()
	return now - w.at(then).succeeded
}

// at is the last sample up to then.
func (w *witness) at(then time.Time) sample {
	before := w.samples[0]
	for _, s := range w.samples {
		if s.at.After(then) {
			break
		}
		before = s
	}
	return before
}

// lostIfKilled is how many calls a death may repeat once no more are made
// because their results cannot be kept: those that were in flight when the last
// one was made, and those that finished shortly before.
func (w *witness) lostIfKilled(hands int64) int64 {
	w.t.Helper()
	w.look()
	w.mu.Lock()
	defer w.mu.Unlock()
	i := len(w.samples) - 1
	for i > 0 && w.samples[i-1].calls == w.samples[i].calls {
		i--
	}
	last := w.samples[i]
	finished := last.succeeded - w.at(last.at.Add(-unsafe)).succeeded
	w.t.Logf("the last call was made after %d had finished, %d of them within %v", last.succeeded, finished, unsafe)
	return hands + finished
}

// kill kills a process that has so many hands and returns how many calls its
// death may repeat.
func (w *witness) kill(p *process, hands int64) int64 {
	w.t.Helper()
	at := time.Now()
	p.kill()
	finished := w.finishedSince(at.Add(-unsafe))
	w.t.Logf("killed after %d calls, %d of them finished within %v", w.sim.Stats().Calls, finished, unsafe)
	return hands + finished
}

// awaitCalls waits for n more calls than there were.
func (w *witness) awaitCalls(before, n int64) {
	w.t.Helper()
	poll(w.t, fmt.Sprintf("%d calls", before+n), func() bool { return w.sim.Stats().Calls >= before+n })
}

// requireRepeatedAtMost checks what was called more than once.
func (w *witness) requireRepeatedAtMost(allowed int64, bodies int) {
	w.t.Helper()
	stats := w.sim.Stats()
	w.t.Logf("%d calls repeated, %d allowed", stats.DuplicateCalls, allowed)
	require.EqualValues(w.t, bodies, stats.DistinctBodies)
	require.LessOrEqual(w.t, stats.DuplicateCalls, allowed)
}

// submit uploads a batch of chat completions and starts it.
func submit(t *testing.T, url, content string, o client.NewBatch) batch.Object {
	t.Helper()
	c := client.New(url)
	f, err := c.Upload(t.Context(), "in.jsonl", strings.NewReader(content))
	require.NoError(t, err)
	o.InputFileID, o.Endpoint = f.ID, openai.ChatCompletions
	if o.CompletionWindow == "" {
		o.CompletionWindow = "24h"
	}
	b, err := c.CreateBatch(t.Context(), o)
	require.NoError(t, err)
	return b
}

// concurrently asks for a batch of at most n calls at once.
func concurrently(n int) client.NewBatch {
	return client.NewBatch{Headrace: client.NewBatchOptions{MaxConcurrency: n}}
}

// awaitBatch waits until a batch is as it should be. Errors on the way are
// those of a server that is down.
func awaitBatch(t *testing.T, url, id string, is func(batch.Object) bool) batch.Object {
	t.Helper()
	var o batch.Object
	c := client.New(url)
	poll(t, "batch "+id, func() bool {
		latest, err := lookAt(t.Context(), c, id)
		if err == nil {
			o = latest
		}
		return err == nil && is(o)
	})
	return o
}

func lookAt(ctx context.Context, c *client.Client, id string) (batch.Object, error) {
	const longest = 5 * time.Second
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	return c.Batch(ctx, id)
}

// awaitEnd waits until a batch has ended as it should.
func awaitEnd(t *testing.T, url, id string, status openai.Status) batch.Object {
	t.Helper()
	o := awaitBatch(t, url, id, func(o batch.Object) bool { return o.Status.Final() })
	require.Equal(t, status, o.Status, "%+v", o.Errors)
	return o
}

// content is that of a file, "" without one.
func content(t *testing.T, url string, id *string) string {
	t.Helper()
	if id == nil {
		return ""
	}
	r, err := client.New(url).Content(t.Context(), *id)
	require.NoError(t, err)
	defer func() { _ = r.Close() }()
	data, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(data)
}

// requireEach checks that each of the n lines of requests has exactly one
// result line, in either file and in input order, and returns the lines of the
// two files.
func requireEach(t *testing.T, url string, o batch.Object, n int) (answers, failures []string) {
	t.Helper()
	answers = lines(t, strings.NewReader(content(t, url, o.OutputFileID)))
	failures = lines(t, strings.NewReader(content(t, url, o.ErrorFileID)))
	seen := append(inputLines(t, answers), inputLines(t, failures)...)
	requireAllOnce(t, seen, n)
	for _, line := range answers {
		require.EqualValues(t, 200, gjson.Get(line, "response.status_code").Int(), line)
	}
	require.EqualValues(t, n, o.RequestCounts.Total)
	require.EqualValues(t, len(answers), o.RequestCounts.Completed)
	return answers, failures
}

// inputLines returns the numbers in the custom_ids of result lines, and checks
// that they ascend.
func inputLines(t *testing.T, results []string) []int {
	t.Helper()
	numbers := make([]int, len(results))
	last := 0
	for i, line := range results {
		_, err := fmt.Sscanf(gjson.Get(line, "custom_id").Str, "r-%d", &numbers[i])
		require.NoError(t, err, line)
		require.Greater(t, numbers[i], last, "out of order: %s", line)
		last = numbers[i]
	}
	return numbers
}

// requireAllOnce checks that numbers are those from 1 to n.
func requireAllOnce(t *testing.T, numbers []int, n int) {
	t.Helper()
	seen := make([]int, n+1)
	for _, number := range numbers {
		require.LessOrEqual(t, number, n)
		seen[number]++
	}
	for number, times := range seen[1:] {
		require.Equal(t, 1, times, "results of r-%d", number+1)
	}
}
