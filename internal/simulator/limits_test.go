package simulator_test

import (
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	goopenai "github.com/sashabaranov/go-openai"
	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
)

func TestARequestOverTheRPMIsToldWhenToComeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSimulator(t, simulator.Options{RPM: 60, RPMBurst: 2})
		for _, remaining := range []string{"1", "0"} {
			w := direct(t, s, question("a", ""))
			require.Equal(t, http.StatusOK, w.Code)
			require.Equal(t, "60", w.Header().Get("X-Ratelimit-Limit-Requests"))
			require.Equal(t, remaining, w.Header().Get("X-Ratelimit-Remaining-Requests"))
			require.Empty(t, w.Header().Get("X-Ratelimit-Limit-Tokens"))
		}
		w := direct(t, s, question("a", ""))
		require.Equal(t, http.StatusTooManyRequests, w.Code)
		require.JSONEq(t, `{"error":{"message":"Rate limit reached for gpt-4o-mini in organization org-sim on requests `+
			`per min (RPM): Limit 60, Used 60, Requested 1. Please try again in 1s.","type":"requests","param":null,`+
			`"code":"rate_limit_exceeded"}}`, w.Body.String())
		require.Equal(t, "1", w.Header().Get("Retry-After"))
		require.Equal(t, "1000", w.Header().Get("Retry-After-Ms"))
		require.Equal(t, "2s", w.Header().Get("X-Ratelimit-Reset-Requests"))

		time.Sleep(999 * time.Millisecond)
		require.Equal(t, http.StatusTooManyRequests, direct(t, s, question("a", "")).Code)
		time.Sleep(time.Millisecond)
		require.Equal(t, http.StatusOK, direct(t, s, question("a", "")).Code)
		require.Equal(t, int64(2), s.Stats().Refused["rpm"])
	})
}

func TestATPMIsChargedWithThePromptAndTheWholeCompletion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSimulator(t, simulator.Options{TPM: 6000, TPMBurst: 1000})
		body := `{"model":"m","max_tokens":598,"messages":[{"role":"user","content":"12345678"}]}`
		w := direct(t, s, body)
		require.Equal(t, http.StatusOK, w.Code)
		require.Equal(t, "400", w.Header().Get("X-Ratelimit-Remaining-Tokens"))
		require.Equal(t, "6s", w.Header().Get("X-Ratelimit-Reset-Tokens"))

		w = direct(t, s, body)
		require.Equal(t, http.StatusTooManyRequests, w.Code)
		require.Contains(t, w.Body.String(), `on tokens per min (TPM): Limit 6000, Used 5600, Requested 600. Please try again in 2s.`)
		require.Contains(t, w.Body.String(), `"type":"tokens"`)
		require.Equal(t, "2", w.Header().Get("Retry-After"))
		time.Sleep(2 * time.Second)
		require.Equal(t, http.StatusOK, direct(t, s, body).Code)
	})
}

func TestARequestLargerThanTheBucketIsNotToldToComeAgain(t *testing.T) {
	t.Parallel()
	s := newSimulator(t, simulator.Options{TPM: 100})
	w := direct(t, s, `{"model":"m","max_tokens":100,"messages":[{"role":"user","content":"x"}]}`)
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Contains(t, w.Body.String(), "Request too large for m in organization org-sim on tokens per min (TPM): "+
		"Limit 100, Requested 101.")
	require.Empty(t, w.Header().Get("Retry-After"))
}

func TestARefusalByOneLimitSpendsNothingOfTheOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSimulator(t, simulator.Options{RPM: 60, TPM: 6000, RPMBurst: 1})
		body := `{"model":"m","max_tokens":99,"messages":[{"role":"user","content":"x"}]}`
		require.Equal(t, "5900", direct(t, s, body).Header().Get("X-Ratelimit-Remaining-Tokens"))
		w := direct(t, s, body)
		require.Equal(t, http.StatusTooManyRequests, w.Code)
		require.Equal(t, "5900", w.Header().Get("X-Ratelimit-Remaining-Tokens"))
		bad := direct(t, s, `{"model":"m"}`)
		require.Equal(t, http.StatusBadRequest, bad.Code, "an invalid request is charged nothing and refused first")
	})
}

func TestGoOpenAISeesARateLimitAsAnAPIError(t *testing.T) {
	t.Parallel()
	c := goClient(t, start(t, simulator.Options{RPM: 1}))
	_, err := c.CreateChatCompletion(t.Context(), chatRequest("a"))
	require.NoError(t, err)
	got, err := c.CreateChatCompletion(t.Context(), chatRequest("a"))
	var failure *goopenai.APIError
	require.ErrorAs(t, err, &failure)
	require.Equal(t, http.StatusTooManyRequests, failure.HTTPStatusCode)
	require.Equal(t, "rate_limit_exceeded", failure.Code)
	require.Equal(t, "requests", failure.Type)
	limits := got.GetRateLimitHeaders()
	require.Equal(t, 1, limits.LimitRequests)
	require.Zero(t, limits.RemainingRequests)
	require.InDelta(t, time.Minute, time.Until(limits.ResetRequests.Time()), float64(5*time.Second))
}

func TestSetKeepsTheLevelOfBucketsThatStayTheSame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSimulator(t, simulator.Options{RPM: 1})
		require.Equal(t, http.StatusOK, direct(t, s, question("a", "")).Code)
		require.NoError(t, s.Set(simulator.Options{RPM: 1, Seed: 7}))
		require.Equal(t, http.StatusTooManyRequests, direct(t, s, question("a", "")).Code)
		require.NoError(t, s.Set(simulator.Options{RPM: 2}))
		require.Equal(t, http.StatusOK, direct(t, s, question("a", "")).Code)
		require.NoError(t, s.Set(simulator.Options{}))
		require.Empty(t, direct(t, s, question("a", "")).Header().Get("X-Ratelimit-Limit-Requests"))
	})
}

// A crowd of clients calls at the same time, each so many times one after the
// other.
const (
	crowd     = 500
	callsEach = 4
)

// rush lets a crowd call, with different bodies, and counts the answers by
// status, 0 for none.
func rush(t *testing.T, run *simulator.Running) map[int]int {
	t.Helper()
	var (
		c     = client(t)
		mu    sync.Mutex
		count = make(map[int]int)
		wg    sync.WaitGroup
	)
	for i := range crowd {
		wg.Go(func() {
			for j := range callsEach {
				a, err := send(t.Context(), c, run, http.MethodPost, string(openai.ChatCompletions), question(strconv.Itoa(callsEach*i+j), ""))
				mu.Lock()
				if err == nil {
					count[a.status]++
				} else {
					count[0]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return count
}

func TestRateLimitsHoldAgainstACrowd(t *testing.T) {
	t.Parallel()
	const burst, rpm = 300, 6000
	run := start(t, simulator.Options{RPM: rpm, RPMBurst: burst})
	began := time.Now()
	count := rush(t, run)
	most := burst + int(time.Since(began).Minutes()*rpm) + 1
	require.GreaterOrEqual(t, count[http.StatusOK], burst)
	require.LessOrEqual(t, count[http.StatusOK], most)
	require.Equal(t, callsEach*crowd, count[http.StatusOK]+count[http.StatusTooManyRequests])

	stats := run.Stats()
	require.Equal(t, int64(count[http.StatusOK]), stats.Succeeded)
	require.Equal(t, int64(count[http.StatusTooManyRequests]), stats.Refused["rpm"])
	require.Equal(t, int64(callsEach*crowd), stats.DistinctBodies)
}

func TestTheConcurrencyCapHoldsAgainstACrowd(t *testing.T) {
	t.Parallel()
	const most = 20
	run := start(t, simulator.Options{MaxConcurrency: most, Latency: latency(t, "uniform:1ms,5ms")})
	count := rush(t, run)
	require.Equal(t, callsEach*crowd, count[http.StatusOK]+count[http.StatusTooManyRequests])
	stats := run.Stats()
	require.Equal(t, int64(most), stats.PeakAdmitted)
	require.Greater(t, stats.PeakInFlight, int64(most), "those that were refused arrived too")
	require.Equal(t, int64(count[http.StatusTooManyRequests]), stats.Refused["concurrency"])
	require.Zero(t, stats.InFlight)
}

func TestClientsAsManyAsThePlacesAreNeverRefused(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{MaxConcurrency: crowd})
	count := rush(t, run)
	require.Equal(t, map[int]int{http.StatusOK: callsEach * crowd}, count)
	require.LessOrEqual(t, run.Stats().PeakInFlight, int64(crowd), "a call leaves before its caller sees the answer")
}
