package llm

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// longestWait bounds what a provider can ask for. A run's own deadline is
// usually nearer.
const longestWait = 24 * time.Hour

// RetryAfter returns how long a response asks to wait before the next call, or
// 0 if it does not say. It knows, in order of trust: retry-after-ms; retry-after
// as seconds, with a fraction or without, or as a date; and, for a limit of
// which nothing remains, when it is reset: as a duration ("6m0s", "12ms"), as
// seconds or as a point in time. Headers that make no sense are passed over.
//
// The first two are of the OpenAI SDKs. Resets are documented by OpenAI as
// durations in x-ratelimit-reset-requests and -tokens, sent by others as times,
// by some in x-ratelimit-reset alone, and by Anthropic as RFC 3339 times in
// anthropic-ratelimit-requests-reset and the like.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	if ms, ok := parseNumber(h.Get("Retry-After-Ms")); ok {
		return bound(ms * float64(time.Millisecond))
	}
	if wait, ok := parseWait(h.Get("Retry-After"), now); ok {
		return wait
	}
	var longest time.Duration
	for _, limit := range resets {
		if strings.TrimSpace(h.Get(limit.remaining)) != "0" {
			continue
		}
		if wait, ok := parseWait(h.Get(limit.reset), now); ok {
			longest = max(longest, wait)
		}
	}
	return longest
}

// resets are the headers that say what remains of a limit, and when it is reset.
var resets = []struct{ remaining, reset string }{
	{"X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Requests"},
	{"X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset-Tokens"},
	{"X-Ratelimit-Remaining", "X-Ratelimit-Reset"},
	{"Anthropic-Ratelimit-Requests-Remaining", "Anthropic-Ratelimit-Requests-Reset"},
	{"Anthropic-Ratelimit-Tokens-Remaining", "Anthropic-Ratelimit-Tokens-Reset"},
	{"Anthropic-Ratelimit-Input-Tokens-Remaining", "Anthropic-Ratelimit-Input-Tokens-Reset"},
	{"Anthropic-Ratelimit-Output-Tokens-Remaining", "Anthropic-Ratelimit-Output-Tokens-Reset"},
}

// Numbers too large to be seconds to wait are points in time: unix seconds,
// and beyond those milliseconds.
const (
	unixStamps = 1e9
	unixMillis = 1e12
)

func parseWait(s string, now time.Time) (time.Duration, bool) {
	s = strings.TrimSpace(s)
	if n, ok := parseNumber(s); ok {
		if n >= unixMillis {
			n /= 1000
		}
		if n >= unixStamps {
			n -= float64(now.UnixNano()) / float64(time.Second)
		}
		return bound(n * float64(time.Second)), true
	}
	if d, err := time.ParseDuration(s); err == nil {
		return bound(float64(d)), true
	}
	for _, parse := range []func(string) (time.Time, error){http.ParseTime, parseRFC3339} {
		if at, err := parse(s); err == nil {
			return bound(float64(at.Sub(now))), true
		}
	}
	return 0, false
}

func parseRFC3339(s string) (time.Time, error) { return time.Parse(time.RFC3339, s) }

func parseNumber(s string) (float64, bool) {
	n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return n, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
}

// bound brings nanoseconds into 0 to longestWait.
func bound(ns float64) time.Duration {
	return time.Duration(min(max(ns, 0), float64(longestWait)))
}
