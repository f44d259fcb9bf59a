package simulator

import (
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/headrace/headrace/internal/openai"
)

// call is one POST to an endpoint, from its arrival to its end. Its memory is
// used again for another.
type call struct {
	sim   *Simulator
	set   *settings
	tally *tally
	end   endpoint
	w     http.ResponseWriter
	r     *http.Request
	began time.Time

	buf []byte // the body of the request, later that of the answer

	req   request
	body  *bodyCounts // of the body, once it is read
	nth   int         // counts the admitted calls with this body from 1
	grant grant

	admitted bool // it holds a place under MaxConcurrency
	left     bool // it is in flight no more
}

// keptBuffer is the largest buffer that is kept for the next call, in bytes.
const keptBuffer = 64 << 10

// newCall returns a call whose memory may be that of an earlier one.
func (s *Simulator) newCall() *call {
	c, ok := s.calls.Get().(*call)
	if !ok {
		c = &call{buf: make([]byte, 0, lastPart)}
	}
	c.sim = s
	return c
}

// recycle gives the memory of a call that has ended to a later one.
func (c *call) recycle() {
	if cap(c.buf) > keptBuffer || cap(c.req.prompts) > 1 {
		return
	}
	sim := c.sim
	clear(c.req.prompts) // drops the texts
	clear(c.req.replies)
	*c = call{buf: c.buf[:0], req: request{prompts: c.req.prompts[:0], replies: c.req.replies[:0]}}
	sim.calls.Put(c)
}

// serveCall is the life of a call.
func (s *Simulator) serveCall(w http.ResponseWriter, r *http.Request, end endpoint) {
	c := s.newCall()
	defer c.recycle()
	c.set, c.tally, c.end, c.w, c.r, c.began = s.settings.Load(), s.tally.Load(), end, w, r, time.Now()
	c.tally.arrive(c.began, s.inFlight.Add(1))
	defer c.leave()
	if c.set.Down {
		c.lose(&c.tally.dropped)
		return
	}
	if err := c.readBody(); err != nil {
		c.unread(err)
		return
	}
	treatment, refusal := c.admit()
	if refusal != nil {
		c.respondError(refusal)
		return
	}
	if !c.pause(c.latency(&treatment)) {
		return
	}
	for _, h := range treatment.headers {
		w.Header().Set(h[0], h[1])
	}
	c.act(&treatment)
}

// leave takes the call out of those in flight. It may be called more than once.
func (c *call) leave() {
	if c.left {
		return
	}
	c.left = true
	if c.admitted {
		c.sim.admitted.Add(-1)
	}
	raise(&c.tally.lastEnd, time.Now().UnixNano())
	c.sim.inFlight.Add(-1)
}

// admit counts the body, checks it, passes the call through the limits and says
// how to treat it. The refusal is not nil when the call ends here.
func (c *call) admit() (behaviour, *openai.Error) {
	c.req.seed, c.req.key = c.set.Seed, keyOf(c.buf)
	c.body = c.tally.bodies.entry(c.req.key)
	c.body.arrived.Add(1)
	if err := c.set.authorize(c.r); err != nil {
		return behaviour{}, err
	}
	if err := c.req.parse(c.buf, c.end, c.set); err != nil {
		return behaviour{}, err
	}
	b, err := c.commanded()
	if err != nil {
		return b, err
	}
	if err := c.limit(); err != nil {
		return b, err
	}
	c.nth = int(c.body.admitted.Add(1))
	if c.req.directive == "" {
		return c.byChance(), nil
	}
	if b.fail > 0 && c.nth > b.fail {
		b.fault = noFault
	}
	return b, nil
}

// authorize checks the API key.
func (set *settings) authorize(r *http.Request) *openai.Error {
	if set.APIKey == "" {
		return nil
	}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if token == set.APIKey {
		return nil
	}
	e := statusError(http.StatusUnauthorized, "")
	if token == "" {
		e.Message, e.Code = "You didn't provide an API key.", nil
	}
	return e
}

// limit takes a place and what the call costs from the buckets, or nothing.
func (c *call) limit() *openai.Error {
	if !c.takePlace() {
		c.tally.refused(limitConcurrency).Add(1)
		return concurrencyRefusal(c.w.Header(), c.req.model, c.set.MaxConcurrency)
	}
	if c.set.limits == nil {
		return nil
	}
	c.grant = c.set.limits.take(c.req.promptTokens + c.req.completionTokens)
	c.grant.setHeaders(c.w.Header())
	if c.grant.refusedBy == "" {
		return nil
	}
	c.tally.refused(c.grant.refusedBy).Add(1)
	return c.grant.refusal(c.w.Header(), c.req.model)
}

// takePlace counts the call as admitted, unless so many are already.
func (c *call) takePlace() bool {
	for {
		n := c.sim.admitted.Load()
		if c.set.MaxConcurrency > 0 && n >= c.set.MaxConcurrency {
			return false
		}
		if c.sim.admitted.CompareAndSwap(n, n+1) {
			c.admitted = true
			raise(&c.tally.peakAdmitted, n+1)
			return true
		}
	}
}

// latency returns the wait before the answer.
func (c *call) latency(b *behaviour) time.Duration {
	l := c.set.Latency
	if b.latency != nil {
		l = *b.latency
	}
	return c.drawn(l, forLatency)
}

func (c *call) drawn(l Latency, p purpose) time.Duration {
	if l == (Latency{}) {
		return 0
	}
	return l.Quantile(draw(c.set.Seed, c.req.key, c.nth, p))
}

// pause waits, and reports whether the call goes on: not when its client has
// left or the simulator went down meanwhile. Then the call has ended.
func (c *call) pause(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	return c.hold(timer.C)
}

// hold is pause until a channel is readable: never, where it is nil.
func (c *call) hold(until <-chan time.Time) bool {
	gone := c.r.Context().Done()
	if c.set.Persistent && until != nil {
		gone = nil
	}
	select {
	case <-until:
		return true
	case <-gone:
		c.lose(&c.tally.gone)
	case <-c.set.down:
		c.lose(&c.tally.dropped)
	}
	return false
}

// lose ends the call without an answer, for the reason that is counted.
func (c *call) lose(reason *atomic.Int64) {
	reason.Add(1)
	c.leave()
	abort(c.w, false)
}
