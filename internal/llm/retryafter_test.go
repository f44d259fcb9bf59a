package llm_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/llm"
)

// Headers that say when to call again.
const (
	headerAfter             = "Retry-After"
	headerAfterMs           = "Retry-After-Ms"
	headerRemainingRequests = "X-Ratelimit-Remaining-Requests"
	headerRemainingTokens   = "X-Ratelimit-Remaining-Tokens"
	headerResetRequests     = "X-Ratelimit-Reset-Requests"
	headerResetTokens       = "X-Ratelimit-Reset-Tokens"
)

// now is the time of the answers in these tests, a whole second.
var now = time.Date(2026, time.October, 1, 12, 0, 0, 0, time.UTC)

func retryAfter(headers map[string]string) time.Duration {
	h := http.Header{}
	for name, value := range headers {
		h.Set(name, value)
	}
	return llm.RetryAfter(h, now)
}

func TestRetryAfterIsReadInEveryFormThatProvidersSend(t *testing.T) {
	t.Parallel()
	in90s := now.Add(90 * time.Second)
	for value, want := range map[string]time.Duration{
		"2":     2 * time.Second,
		" 7 ":   7 * time.Second,
		"0.25":  250 * time.Millisecond,
		"1e1":   10 * time.Second,
		"0":     0,
		"86400": 24 * time.Hour,

		"6m0s":     6 * time.Minute,
		"12ms":     12 * time.Millisecond,
		"1h2m3.5s": time.Hour + 2*time.Minute + 3*time.Second + 500*time.Millisecond,

		in90s.Format(http.TimeFormat):                             90 * time.Second,
		in90s.Format("Monday, 02-Jan-06 15:04:05 MST"):            90 * time.Second, // RFC 850
		in90s.Format(time.ANSIC):                                  90 * time.Second,
		in90s.Format(time.RFC3339):                                90 * time.Second,
		in90s.In(time.FixedZone("", 7200)).Format(time.RFC3339):   90 * time.Second,
		now.Add(1500 * time.Millisecond).Format(time.RFC3339Nano): 1500 * time.Millisecond,
		strconv.FormatInt(in90s.Unix(), 10):                       90 * time.Second,
		strconv.FormatInt(in90s.Unix(), 10) + ".5":                90*time.Second + 500*time.Millisecond,
		strconv.FormatInt(in90s.UnixMilli(), 10):                  90 * time.Second,
	} {
		got := retryAfter(map[string]string{headerAfter: value})
		require.InDelta(t, want, got, float64(time.Microsecond), "Retry-After: %s", value)
		got = retryAfter(map[string]string{headerRemainingRequests: "0", headerResetRequests: value})
		require.InDelta(t, want, got, float64(time.Microsecond), "X-Ratelimit-Reset-Requests: %s", value)
	}
}

func TestRetryAfterIsNeverNegativeAndNeverMoreThanADay(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		"-1":   0,
		"-1e9": 0,
		"-5m":  0,
		now.Add(-time.Hour).Format(http.TimeFormat): 0,
		now.Add(-time.Hour).Format(time.RFC3339):    0,
		"0001-01-01T00:00:00Z":                      0,
		strconv.FormatInt(now.Unix()-60, 10):        0,
		strconv.FormatInt(now.UnixMilli()-60e3, 10): 0,
		"-9223372036854775808":                      0,
		"-1e300":                                    0,

		"86401":               24 * time.Hour,
		"25h":                 24 * time.Hour,
		"999999999":           24 * time.Hour,
		"9223372036854775807": 24 * time.Hour,
		"1e300":               24 * time.Hour,
		now.AddDate(1, 0, 0).Format(http.TimeFormat): 24 * time.Hour,
		"9999-12-31T23:59:59Z":                       24 * time.Hour,
	} {
		require.Equal(t, want, retryAfter(map[string]string{headerAfter: value}), "Retry-After: %s", value)
	}
	require.Zero(t, retryAfter(map[string]string{headerAfterMs: "-20"}))
	require.Equal(t, 24*time.Hour, retryAfter(map[string]string{headerAfterMs: "1e300"}))
}

func TestNonsenseInRetryAfterIsPassedOver(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		"", " ", "soon", "NaN", "nan", "Inf", "+Inf", "-inf", "infinity", "1e400", "-1e400", "5 seconds", "12,5", "0x", "--1", "1s2", "\x00",
		"Thu, 32 Oct 2026 12:00:00 GMT", "2026-10-01", "2026-10-01T12:00:00", "null", "{}",
	} {
		require.Zero(t, retryAfter(map[string]string{headerAfter: value}), "Retry-After: %q", value)
		require.Zero(t, retryAfter(map[string]string{headerAfterMs: value}), "Retry-After-Ms: %q", value)
		require.Zero(t, retryAfter(map[string]string{headerRemainingTokens: "0", headerResetTokens: value}), "reset: %q", value)
		require.Equal(t, 3*time.Second, retryAfter(map[string]string{headerAfterMs: value, headerAfter: "3"}),
			"Retry-After-Ms: %q does not hide Retry-After", value)
		require.Equal(t, 3*time.Second, retryAfter(map[string]string{
			headerAfter: value, headerRemainingRequests: "0", headerResetRequests: "3s",
		}), "Retry-After: %q does not hide the reset", value)
	}
}

func TestTheMostTrustedHeaderIsTaken(t *testing.T) {
	t.Parallel()
	all := map[string]string{
		headerAfterMs: "1500", headerAfter: "2",
		headerRemainingRequests: "0", headerResetRequests: "3s", headerRemainingTokens: "0", headerResetTokens: "4s",
	}
	require.Equal(t, 1500*time.Millisecond, retryAfter(all))
	delete(all, headerAfterMs)
	require.Equal(t, 2*time.Second, retryAfter(all))
	delete(all, headerAfter)
	require.Equal(t, 4*time.Second, retryAfter(all), "the longer one: both limits are used up")
	delete(all, headerResetTokens)
	require.Equal(t, 3*time.Second, retryAfter(all))
	delete(all, headerResetRequests)
	require.Zero(t, retryAfter(all))
	require.Zero(t, retryAfter(nil))
}

func TestResetsAreReadAsOtherProvidersSpellThem(t *testing.T) {
	t.Parallel()
	for remaining, reset := range map[string]string{
		"X-Ratelimit-Remaining": "X-Ratelimit-Reset", "Anthropic-Ratelimit-Requests-Remaining": "Anthropic-Ratelimit-Requests-Reset",
		"Anthropic-Ratelimit-Output-Tokens-Remaining": "Anthropic-Ratelimit-Output-Tokens-Reset",
	} {
		at := time.Now().Add(90 * time.Second).UTC().Format(time.RFC3339)
		wait := llm.RetryAfter(http.Header{remaining: {"0"}, reset: {at}}, time.Now())
		require.InDelta(t, 90*time.Second, wait, float64(2*time.Second), reset)
		require.Zero(t, llm.RetryAfter(http.Header{remaining: {"3"}, reset: {at}}, time.Now()), reset)
	}
}

func TestAResetCountsOnlyForALimitOfWhichNothingRemains(t *testing.T) {
	t.Parallel()
	for remaining, want := range map[string]time.Duration{
		"0": 6 * time.Second, " 0 ": 6 * time.Second, "": 0, "1": 0, "150": 0, "-1": 0, "none": 0,
	} {
		require.Equal(t, want, retryAfter(map[string]string{headerRemainingTokens: remaining, headerResetTokens: "6s"}), "%q remain", remaining)
	}
	require.Zero(t, retryAfter(map[string]string{headerResetRequests: "6s"}))
	require.Equal(t, time.Second, retryAfter(map[string]string{
		headerRemainingRequests: "12", headerResetRequests: "6s", headerRemainingTokens: "0", headerResetTokens: "1s",
	}), "requests remain; their reset is no reason to wait")
}

// FuzzRetryAfter feeds every header anything at all.
func FuzzRetryAfter(f *testing.F) {
	f.Add("", "", "", "", "", "", int64(0))
	f.Add("20", "", "", "", "", "", now.UnixNano())
	f.Add("nan", "Thu, 01 Oct 2026 12:00:00 GMT", "0", "6m0s", "0", "1790856000", now.UnixNano())
	f.Add("-1e308", "1e308", "0", "-9223372036s", "0", "9999-12-31T23:59:59Z", int64(-1<<63))
	f.Add("Inf", "0001-01-01T00:00:00Z", " 0", "1790856000000", "1", "2562047h47m16.854775807s", int64(1<<63-1))
	f.Fuzz(func(t *testing.T, ms, after, requestsLeft, requestsReset, tokensLeft, tokensReset string, at int64) {
		wait := llm.RetryAfter(http.Header{
			headerAfterMs: {ms}, headerAfter: {after},
			headerRemainingRequests: {requestsLeft}, headerResetRequests: {requestsReset},
			headerRemainingTokens: {tokensLeft}, headerResetTokens: {tokensReset},
		}, time.Unix(0, at))
		require.GreaterOrEqual(t, wait, time.Duration(0))
		require.LessOrEqual(t, wait, 24*time.Hour)
	})
}
