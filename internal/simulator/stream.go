package simulator

import "net/http"

// stream sends the events of an answer as they come. With faultHalf it ends
// within an event in the middle, with faultMiddle the connection closes there.
func (c *call) stream(kind fault) {
	c.setHeaders(typeStream, -1)
	c.w.Header()[headerCacheControl] = []string{"no-cache"}
	middle := -1
	if kind != noFault {
		middle = c.eventCount() / 2
	}
	flusher := http.NewResponseController(c.w)
	i := 0
	for event, last := range c.end.events(&c.req) {
		if i > 0 && !c.pause(c.drawn(c.set.StreamInterval, forInterval+purpose(i))) {
			return
		}
		if i == middle {
			c.breakOff(event[:len(event)/2], kind)
			return
		}
		if last {
			c.finish(event, true)
			return
		}
		if _, err := c.w.Write(event); err != nil {
			c.lose(&c.tally.gone)
			return
		}
		if err := flusher.Flush(); err != nil {
			c.lose(&c.tally.gone)
			return
		}
		i++
	}
}

// eventCount returns the number of events of the answer.
func (c *call) eventCount() int {
	n := 0
	for range c.end.events(&c.req) {
		n++
	}
	return n
}

// breakOff ends a stream with a part of an event.
func (c *call) breakOff(part []byte, kind fault) {
	if kind == faultHalf {
		c.finish(part, false)
		return
	}
	_, _ = c.w.Write(part)
	_ = http.NewResponseController(c.w).Flush()
	c.cutOff(false)
}
