package simulator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	goopenai "github.com/sashabaranov/go-openai"
	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
)

// attempt makes a chat completion that may fail.
func attempt(t *testing.T, run *simulator.Running, body string) (answer, error) {
	t.Helper()
	return send(t.Context(), client(t), run, http.MethodPost, string(openai.ChatCompletions), body)
}

func TestACutConnectionGivesNoByte(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{})
	_, err := attempt(t, run, question("q", "sim:cut"))
	require.ErrorIs(t, err, io.EOF)
	_, err = attempt(t, run, question("q", "sim:reset"))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.Equal(t, int64(2), run.Stats().Cut)
}

func TestAConnectionCutInTheMiddleGivesHalfTheBody(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{})
	body := question("q", "sim:middle")
	want, err := run.Answer(openai.ChatCompletions, []byte(body))
	require.NoError(t, err)
	a, err := attempt(t, run, body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, want[:len(want)/2], a.body)
	require.Equal(t, strconv.Itoa(len(want)), a.header.Get("Content-Length"))
}

func TestAHalfAnswerIsCompleteButNoJSON(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{})
	a := chat(t, run, question("q", "sim:half"))
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, strconv.Itoa(len(a.body)), a.header.Get("Content-Length"))
	require.False(t, json.Valid(a.body))
	require.Zero(t, run.Stats().Succeeded, "nobody would pay for it")
	require.Equal(t, map[string]int64{"200": 1}, run.Stats().ByStatus)
}

func TestAWebPageComesInsteadOfJSON(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{})
	for directive, status := range map[string]int{"sim:html": 500, "sim:html;status=502": 502, "sim:status=504;html": 504} {
		a := chat(t, run, question("q", directive))
		require.Equal(t, status, a.status)
		require.Equal(t, "text/html; charset=utf-8", a.header.Get("Content-Type"))
		require.True(t, bytes.HasPrefix(a.body, []byte("<!DOCTYPE html>")))
	}
}

func TestAStallEndsWhenTheClientLeaves(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{})
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := send(ctx, client(t), run, http.MethodPost, string(openai.ChatCompletions), question("q", "sim:stall"))
		left <- err
	}()
	require.Eventually(t, func() bool { return run.Stats().Faults["stall"] == 1 }, 10*time.Second, time.Millisecond)
	require.Equal(t, int64(1), run.Stats().InFlight)
	leave()
	require.ErrorIs(t, <-left, context.Canceled)
	require.Eventually(t, func() bool { return run.Stats().InFlight == 0 }, 10*time.Second, time.Millisecond)
	require.Equal(t, int64(1), run.Stats().ClientGone)
}

func TestAPersistentCallOutlivesItsClient(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{Persistent: true})
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := send(ctx, client(t), run, http.MethodPost, string(openai.ChatCompletions), question("q", "sim:latency=500ms"))
		left <- err
	}()
	require.Eventually(t, func() bool { return run.Stats().InFlight == 1 }, 10*time.Second, time.Millisecond)
	arrived := *run.Stats().FirstArrival
	leave()
	require.ErrorIs(t, <-left, context.Canceled)
	require.Eventually(t, func() bool { return run.Stats().InFlight == 0 }, 10*time.Second, time.Millisecond)
	require.GreaterOrEqual(t, run.Stats().LastEnd.Sub(arrived), 500*time.Millisecond)
	require.Equal(t, int64(1), run.Stats().ClientGone)
	require.Zero(t, run.Stats().Succeeded)
}

func TestAStreamBreaksOffInTheMiddle(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{})
	c := goClient(t, run)
	// A stream that just ends is an io.EOF to go-openai, as [DONE] is.
	for directive, want := range map[string]error{"sim:middle": io.ErrUnexpectedEOF, "sim:half": io.EOF} {
		request := chatRequest(strings.Repeat("q", 100))
		request.User = directive
		stream, err := c.CreateChatCompletionStream(t.Context(), request)
		require.NoError(t, err)
		text := ""
		for err == nil {
			var chunk goopenai.ChatCompletionStreamResponse
			if chunk, err = stream.Recv(); err == nil {
				text += chunk.Choices[0].Delta.Content
			}
		}
		require.NoError(t, stream.Close())
		require.ErrorIs(t, err, want, directive)
		require.NotEmpty(t, text)
		require.Less(t, len(text), 106)
	}
	require.Zero(t, run.Stats().Succeeded)
}

func TestFaultsByChanceComeAtTheirRateAndAgainWithTheSameSeed(t *testing.T) {
	t.Parallel()
	const calls = 2000
	o := simulator.Options{Seed: 42, Faults: simulator.Faults{Error: 0.1, Unavailable: 0.1, Quota: 0.1, HTML: 0.1}, RetryAfter: 7}
	outcomes := func(seed uint64, order func(int) int) []int {
		o.Seed = seed
		s := newSimulator(t, o)
		got := make([]int, calls)
		for i := range calls {
			k := order(i)
			w := direct(t, s, question(strconv.Itoa(k), ""))
			got[k] = w.Code
			if w.Code == http.StatusServiceUnavailable {
				require.Equal(t, "7", w.Header().Get("Retry-After"))
			}
		}
		for _, kind := range []string{"error", "unavailable", "quota", "html"} {
			require.InDelta(t, calls/10, s.Stats().Faults[kind], calls/40, kind)
		}
		return got
	}
	forwards := outcomes(42, func(i int) int { return i })
	backwards := outcomes(42, func(i int) int { return calls - 1 - i })
	require.Equal(t, forwards, backwards, "the order of arrival does not matter")
	require.NotEqual(t, forwards, outcomes(43, func(i int) int { return i }))
}

func TestEverythingIsThrottledOnCommandAndSaysForHowLong(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{})
	require.Equal(t, http.StatusOK, chat(t, run, question("q", "")).status)
	call(t, run, http.MethodPost, "/control", `{"faults":{"throttled":1},"retry_after":20}`)
	for i := range 20 {
		a := chat(t, run, question(strconv.Itoa(i), ""))
		require.Equal(t, http.StatusTooManyRequests, a.status)
		require.Equal(t, "20", a.header.Get("Retry-After"))
		require.Equal(t, "rate_limit_exceeded", *envelope(t, a).Code)
	}
	require.EqualValues(t, 20, run.Stats().Faults["throttled"])
	require.Empty(t, run.Stats().Refused, "no limit was reached")
	call(t, run, http.MethodPost, "/control", `{"faults":{"throttled":0}}`)
	require.Equal(t, http.StatusOK, chat(t, run, question("q", "")).status)
}

func TestAFaultByChanceMayPassAtTheNextAttempt(t *testing.T) {
	t.Parallel()
	s := newSimulator(t, simulator.Options{Faults: simulator.Faults{Error: 0.5}})
	seen := make(map[int]bool)
	for range 50 {
		seen[direct(t, s, question("q", "")).Code] = true
	}
	require.Equal(t, map[int]bool{200: true, 500: true}, seen)
}

func TestEveryFaultHoldsAgainstACrowd(t *testing.T) {
	t.Parallel()
	rate := simulator.Faults{
		Error: 0.05, Unavailable: 0.05, Quota: 0.05, Cut: 0.05, Reset: 0.05, Middle: 0.05, Half: 0.05, HTML: 0.05,
	}
	run := start(t, simulator.Options{Seed: 1, Faults: rate, Latency: latency(t, "exp:2ms")})
	count := rush(t, run)
	stats := run.Stats()
	const calls = crowd * callsEach
	for _, kind := range []string{"error", "unavailable", "quota", "cut", "reset", "middle", "half", "html"} {
		require.InDelta(t, calls/20, stats.Faults[kind], calls/40, kind)
	}
	require.Equal(t, int64(calls), stats.Calls)
	require.Equal(t, stats.Faults["cut"]+stats.Faults["reset"]+stats.Faults["middle"], stats.Cut)
	require.Equal(t, int64(count[0]), stats.Cut, "every cut reached its client")
	require.Equal(t, stats.Succeeded+stats.Faults["half"], stats.ByStatus["200"])
	require.Equal(t, stats.Calls, total(stats))
}

// total adds up how calls ended.
func total(s simulator.Stats) int64 {
	sum := s.Cut + s.ClientGone + s.Dropped + s.InFlight
	for _, n := range s.ByStatus {
		sum += n
	}
	return sum
}

func TestWithoutAConnectionToCloseTheServerIsToldToAbort(t *testing.T) {
	t.Parallel()
	s := newSimulator(t, simulator.Options{})
	defer func() {
		err, _ := recover().(error)
		require.ErrorIs(t, err, http.ErrAbortHandler)
		require.Zero(t, s.Stats().InFlight)
	}()
	direct(t, s, question("q", "sim:cut"))
}
