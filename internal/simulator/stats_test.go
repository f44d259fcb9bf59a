package simulator_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
)

func TestCallsAndSuccessesAreCountedPerBody(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{})
	once, thrice, flaky := question("once", ""), question("thrice", ""), question("flaky", "sim:fail=1")
	for _, body := range []string{once, thrice, thrice, thrice, flaky, flaky} {
		chat(t, run, body)
	}
	require.Equal(t, 3, run.Calls([]byte(thrice)))
	require.Equal(t, 2, run.Calls([]byte(flaky)))
	require.Equal(t, 1, run.Successes([]byte(flaky)))
	require.Zero(t, run.Calls([]byte("never")))
	require.Zero(t, run.Successes([]byte("never")))

	var stats simulator.Stats
	require.NoError(t, json.Unmarshal(call(t, run, http.MethodGet, "/stats", "").body, &stats))
	require.Equal(t, int64(6), stats.Calls)
	require.Equal(t, int64(5), stats.Succeeded)
	require.Equal(t, map[string]int64{"200": 5, "500": 1}, stats.ByStatus)
	require.Equal(t, map[string]int64{"status": 1}, stats.Faults)
	require.Equal(t, int64(3), stats.DistinctBodies)
	require.Equal(t, int64(3), stats.DuplicateCalls)
	require.Equal(t, int64(2), stats.DuplicateSuccesses)
	require.Equal(t, map[int64]int64{1: 1, 2: 1, 3: 1}, stats.CallsPerBody)
	require.Equal(t, map[int64]int64{1: 2, 3: 1}, stats.SuccessesPerBody)
	require.Equal(t, int64(1+3*2+2), stats.PromptTokens)
	require.Equal(t, int64(3+3*3+3), stats.CompletionTokens)
	require.Equal(t, int64(1), stats.PeakInFlight)
	require.Zero(t, stats.InFlight)
	require.False(t, stats.LastEnd.Before(*stats.LastArrival))
	require.True(t, stats.FirstArrival.Before(*stats.LastArrival))
	require.Positive(t, stats.OpenConnections)
}

func TestAResetForgetsEverythingButWhatIsInFlight(t *testing.T) {
	t.Parallel()
	for _, reset := range []struct{ method, path string }{{http.MethodDelete, "/stats"}, {http.MethodPost, "/stats/reset"}} {
		run := start(t, simulator.Options{})
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan struct{})
		go func() {
			defer close(left)
			_, _ = send(ctx, client(t), run, http.MethodPost, string(openai.ChatCompletions), question("q", "sim:stall"))
		}()
		require.Eventually(t, func() bool { return run.Stats().Faults["stall"] == 1 }, 10*time.Second, time.Millisecond)
		chat(t, run, question("r", "sim:fail=1"))

		var before simulator.Stats
		require.NoError(t, json.Unmarshal(call(t, run, reset.method, reset.path, "").body, &before))
		require.Equal(t, int64(2), before.Calls, "a reset answers with what was")
		after := run.Stats()
		require.Zero(t, after.Calls)
		require.Zero(t, after.DistinctBodies)
		require.Equal(t, int64(1), after.InFlight)
		require.Equal(t, int64(1), after.PeakInFlight)
		require.Nil(t, after.LastArrival)
		require.False(t, after.Since.Before(before.Since))
		require.Equal(t, http.StatusInternalServerError, chat(t, run, question("r", "sim:fail=1")).status, "fail=1 starts anew")

		leave()
		<-left
		require.Eventually(t, func() bool { return run.Stats().InFlight == 0 }, 10*time.Second, time.Millisecond)
		require.Zero(t, run.Stats().ClientGone, "it ended in the counts before the reset")
	}
}

func TestAClientThatLeavesEndsTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSimulator(t, simulator.Options{Latency: simulator.Constant(time.Hour)})
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		abandon(ctx, t, s, question("q", ""))
		require.Equal(t, time.Minute, time.Since(began))
		stats := s.Stats()
		require.Equal(t, int64(1), stats.ClientGone)
		require.Zero(t, stats.InFlight)
		require.Equal(t, time.Minute, stats.LastEnd.Sub(*stats.LastArrival))
	})
}

func TestAStreamWaitsForItsFirstEventAndBetweenEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSimulator(t, simulator.Options{
			Latency: simulator.Constant(time.Second), StreamInterval: simulator.Constant(10 * time.Millisecond),
		})
		began := time.Now()
		direct(t, s, `{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}`)
		// The role, the text, the finish reason, [DONE].
		require.Equal(t, time.Second+3*10*time.Millisecond, time.Since(began))
	})
}

func TestTheSameSeedGivesTheSameLatenciesInAnyOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const calls = 50
		times := func(seed uint64, order func(int) int) [calls][2]time.Duration {
			s := newSimulator(t, simulator.Options{Seed: seed, Latency: latency(t, "lognormal:200ms,0.5")})
			var took [calls][2]time.Duration
			for i := range calls {
				for attempt := range 2 {
					began := time.Now()
					direct(t, s, question(strconv.Itoa(order(i)), ""))
					took[order(i)][attempt] = time.Since(began)
				}
			}
			return took
		}
		first := times(1, func(i int) int { return i })
		require.Equal(t, first, times(1, func(i int) int { return calls - 1 - i }))
		require.NotEqual(t, first, times(2, func(i int) int { return i }))
		distinct := make(map[time.Duration]bool)
		for _, pair := range first {
			distinct[pair[0]], distinct[pair[1]] = true, true
		}
		require.Len(t, distinct, 2*calls, "another body or another attempt, another latency")
	})
}

func TestADistinctBodyCostsAtMostFiftyBytes(t *testing.T) {
	// Not parallel: it reads the size of the heap.
	const n = 1_000_000
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	s := newSimulator(t, simulator.Options{})
	before := heap()
	s.SeeBodies(n)
	per := float64(heap()-before) / n
	require.Equal(t, int64(n), s.Stats().DistinctBodies)
	t.Logf("%.1f bytes per body", per)
	require.Less(t, per, 50.0)
}

func TestOpenConnectionsAreCounted(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{})
	var dialer net.Dialer
	var conns []net.Conn
	for range 3 {
		conn, err := dialer.DialContext(t.Context(), "tcp", run.Addr().String())
		require.NoError(t, err)
		conns = append(conns, conn)
	}
	require.Eventually(t, func() bool { return run.Stats().OpenConnections == 3 }, 10*time.Second, time.Millisecond)
	for _, conn := range conns {
		require.NoError(t, conn.Close())
	}
	require.Eventually(t, func() bool { return run.Stats().OpenConnections == 0 }, 10*time.Second, time.Millisecond)
}

// abandon makes a call whose client leaves when ctx ends.
func abandon(ctx context.Context, tb testing.TB, s *simulator.Simulator, body string) {
	tb.Helper()
	defer func() { require.Equal(tb, http.ErrAbortHandler, recover()) }()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, string(openai.ChatCompletions), strings.NewReader(body))
	s.ServeHTTP(httptest.NewRecorder(), r)
}
