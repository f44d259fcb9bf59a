package simulator

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/headrace/headrace/internal/openai"
)

// limit names what a call was refused by: the key in Stats.Refused.
type limit string

const (
	limitRPM         limit = "rpm"
	limitTPM         limit = "tpm"
	limitConcurrency limit = "concurrency"
)

// limits are the buckets of requests and tokens. A call takes from both or from
// none.
type limits struct {
	origin time.Time // times are counted from here, on the monotonic clock

	mu       sync.Mutex
	requests *bucket // nil without a limit
	tokens   *bucket // nil without a limit
}

// newLimits returns nil when the options set neither limit.
func newLimits(o *Options) *limits {
	if o.RPM == 0 && o.TPM == 0 {
		return nil
	}
	l := &limits{origin: time.Now()}
	if o.RPM > 0 {
		l.requests = newBucket(o.RPM, o.RPMBurst, 0)
	}
	if o.TPM > 0 {
		l.tokens = newBucket(o.TPM, o.TPMBurst, 0)
	}
	return l
}

// grant is the answer of the limits to a call, and the state of the buckets
// after it.
type grant struct {
	refusedBy limit         // empty: granted
	wait      time.Duration // until a refused call can be granted
	never     bool          // a refused call is larger than the bucket
	requested int64

	requests, tokens levels
}

// levels is the state of one bucket.
type levels struct {
	limit     int64 // 0: there is no bucket
	remaining int64
	reset     time.Duration // until it is full
}

// take asks for one request of so many tokens.
func (l *limits) take(tokens int64) grant {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Since(l.origin)
	var g grant
	if ask(l.tokens, now, tokens, &g) {
		g.refusedBy = limitTPM
	}
	if ask(l.requests, now, 1, &g) {
		g.refusedBy = limitRPM
	}
	if g.refusedBy == "" {
		spend(l.requests, 1)
		spend(l.tokens, tokens)
	}
	g.requests, g.tokens = levelsOf(l.requests), levelsOf(l.tokens)
	return g
}

// ask reports whether a bucket refuses n, and notes in g for how long.
func ask(b *bucket, now time.Duration, n int64, g *grant) bool {
	if b == nil {
		return false
	}
	b.refill(now)
	wait, ever := b.wait(n)
	if ever && wait == 0 {
		return false
	}
	g.wait, g.never, g.requested = wait, !ever, n
	return true
}

func spend(b *bucket, n int64) {
	if b != nil {
		b.take(n)
	}
}

func levelsOf(b *bucket) levels {
	if b == nil {
		return levels{}
	}
	return levels{limit: b.rate, remaining: b.remaining(), reset: b.reset()}
}

// setHeaders tells the state of the buckets, as OpenAI does.
func (g *grant) setHeaders(h http.Header) {
	if l := g.requests; l.limit > 0 {
		h[headerLimitRequests] = []string{strconv.FormatInt(l.limit, 10)}
		h[headerRemainingRequests] = []string{strconv.FormatInt(l.remaining, 10)}
		h[headerResetRequests] = []string{roundUp(l.reset).String()}
	}
	if l := g.tokens; l.limit > 0 {
		h[headerLimitTokens] = []string{strconv.FormatInt(l.limit, 10)}
		h[headerRemainingTokens] = []string{strconv.FormatInt(l.remaining, 10)}
		h[headerResetTokens] = []string{roundUp(l.reset).String()}
	}
}

// roundUp rounds to milliseconds, so that whoever waits for so long has waited
// long enough.
func roundUp(d time.Duration) time.Duration {
	if rest := d % time.Millisecond; rest > 0 {
		d += time.Millisecond - rest
	}
	return d
}

// refusal returns the error of a call that was not granted, and sets the
// headers that say when to come again.
func (g *grant) refusal(h http.Header, model string) *openai.Error {
	e := &openai.Error{Status: http.StatusTooManyRequests, Code: new(codeRateLimit), Type: "requests"}
	of, state := "requests per min (RPM)", g.requests
	if g.refusedBy == limitTPM {
		e.Type, of, state = "tokens", "tokens per min (TPM)", g.tokens
	}
	if g.never {
		e.Message = fmt.Sprintf("Request too large for %s in organization org-sim on %s: Limit %d, Requested %d. "+
			"The input or output tokens must be reduced in order to run successfully.", model, of, state.limit, g.requested)
		return e
	}
	wait := roundUp(g.wait)
	setRetryAfter(h, wait)
	used := max(state.limit-state.remaining, 0)
	e.Message = fmt.Sprintf("Rate limit reached for %s in organization org-sim on %s: Limit %d, Used %d, Requested %d. "+
		"Please try again in %s.", model, of, state.limit, used, g.requested, wait)
	return e
}

// setRetryAfter sets the wait in whole seconds, at least one, and in
// milliseconds.
func setRetryAfter(h http.Header, wait time.Duration) {
	seconds := max((wait+time.Second-1)/time.Second, 1)
	h[headerRetryAfter] = []string{strconv.FormatInt(int64(seconds), 10)}
	h[headerRetryAfterMs] = []string{strconv.FormatInt(wait.Milliseconds(), 10)}
}

// concurrencyRefusal returns the error of a call that found all places taken.
// Nobody knows when one is free, so the wait is a second.
func concurrencyRefusal(h http.Header, model string, most int64) *openai.Error {
	setRetryAfter(h, time.Second)
	return &openai.Error{
		Status: http.StatusTooManyRequests, Code: new(codeRateLimit), Type: "requests",
		Message: fmt.Sprintf("Rate limit reached for %s in organization org-sim on concurrent requests: "+
			"Limit %d, Used %d, Requested 1. Please try again in 1s.", model, most, most),
	}
}
