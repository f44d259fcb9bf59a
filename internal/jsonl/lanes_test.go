package jsonl_test

import (
	"bytes"
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/jsonl"
	"github.com/headrace/headrace/internal/openai"
)

// TestLanesFinishTogether simulates lanes that work through a planned file and
// compares the time they take with that of one pool of as many hands, which
// takes the requests one by one and waits for nothing. Latencies are lognormal,
// the same for both. Ratios are means over the seeds.
//
// A lane asks for the next chunk when fewer than early of its requests are
// unstarted, one lease of 10 ms at a time. What comes out, with early a quarter
// of the hands and all of them:
//
//	  2,000 requests,   256 hands: 1.0070, 1.0067
//	 10,000 requests,   256 hands: 1.0016, 1.0019
//	 10,000 requests,    64 hands: 1.0003, 1.0003
//	100,000 requests, 1,000 hands: 1.0004, 1.0002
func TestLanesFinishTogether(t *testing.T) {
	t.Parallel()
	const most = 1.01
	tests := []struct{ requests, concurrency, seeds int }{
		{2_000, 256, 20},
		{10_000, 256, 20},
		{10_000, 64, 20},
		{100_000, 1000, 5},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d requests over %d hands", tt.requests, tt.concurrency), func(t *testing.T) {
			t.Parallel()
			lanes := (tt.concurrency + 63) / 64
			hands := tt.concurrency / lanes
			chunks := chunkSizes(t, tt.requests, lanes, hands)
			for _, early := range []int{hands / 4, hands} {
				var sum float64
				for seed := range tt.seeds {
					latencies := lognormal(tt.requests, seed)
					sum += float64(simulate(latencies, chunks, lanes, hands, early, 10*time.Millisecond)) /
						float64(simulate(latencies, []int{tt.requests}, 1, lanes*hands, 1, 0))
				}
				mean := sum / float64(tt.seeds)
				t.Logf("early %d, %d chunks: %.4f", early, len(chunks), mean)
				require.LessOrEqual(t, mean, most)
			}
		})
	}
}

// chunkSizes plans a file and returns the number of requests of each chunk.
func chunkSizes(t *testing.T, requests, lanes, hands int) []int {
	t.Helper()
	var index bytes.Buffer
	_, err := jsonl.Plan(t.Context(), newSynthetic(requests, 0), &index, jsonl.PlanOptions{
		Endpoint: openai.ChatCompletions, Lanes: lanes, Hands: hands,
	})
	require.NoError(t, err)
	var sizes []int
	for _, c := range decodeIndex(t, index.Bytes()) {
		sizes = append(sizes, int(c.Requests))
	}
	return sizes
}

// lognormal returns n latencies with a mean of 200 ms; one in twenty is longer
// than 400 ms.
func lognormal(n, seed int) []time.Duration {
	const mean, sigma = 200 * time.Millisecond, 0.5
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	latencies := make([]time.Duration, n)
	for i := range latencies {
		latencies[i] = time.Duration(float64(mean) * math.Exp(sigma*random.NormFloat64()-sigma*sigma/2))
	}
	return latencies
}

// simulate returns when the last request is done. A lease takes the time lease.
func simulate(latencies []time.Duration, chunks []int, lanes, hands, early int, lease time.Duration) time.Duration {
	s := &simulation{latencies: latencies, chunks: chunks, lease: lease}
	all := make([]lane, lanes)
	for i := range all {
		all[i] = lane{hands: hands, early: early}
		s.step(&all[i])
	}
	for len(s.events) > 0 {
		e := heap.Pop(&s.events).(event)
		s.now = e.at
		if e.chunk == nil {
			e.lane.busy--
		} else {
			e.lane.leasing = false
			e.lane.unstarted = append(e.lane.unstarted, e.chunk...)
		}
		s.step(e.lane)
	}
	return s.now
}

type simulation struct {
	latencies []time.Duration // of the requests not yet leased
	chunks    []int           // not yet leased
	lease     time.Duration
	now       time.Duration
	events    events
}

type lane struct {
	hands, early, busy int
	unstarted          []time.Duration
	leasing            bool
}

// step lets a lane start what it can and ask for more.
func (s *simulation) step(l *lane) {
	for l.busy < l.hands && len(l.unstarted) > 0 {
		heap.Push(&s.events, event{at: s.now + l.unstarted[0], lane: l})
		l.unstarted = l.unstarted[1:]
		l.busy++
	}
	if !l.leasing && len(l.unstarted) < l.early && len(s.chunks) > 0 {
		n := s.chunks[0]
		heap.Push(&s.events, event{at: s.now + s.lease, lane: l, chunk: s.latencies[:n]})
		s.chunks, s.latencies = s.chunks[1:], s.latencies[n:]
		l.leasing = true
	}
}

// event is the end of a request, or, with a chunk, of a lease.
type event struct {
	at    time.Duration
	lane  *lane
	chunk []time.Duration
}

type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at < e[j].at }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }

func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	*e = (*e)[:last]
	return x
}
