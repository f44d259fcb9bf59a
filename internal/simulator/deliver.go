package simulator

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/headrace/headrace/internal/openai"
)

// act answers a call as it is to be treated.
func (c *call) act(b *behaviour) {
	if b.fault != noFault {
		c.tally.fault(b.fault).Add(1)
	}
	switch b.fault {
	case faultStall:
		c.hold(nil)
	case faultCut:
		c.cutOff(false)
	case faultReset:
		c.cutOff(true)
	case faultStatus, faultError, faultUnavailable, faultThrottled, faultQuota:
		c.respondError(statusError(b.status, b.code))
	case faultHTML:
		c.respond(b.status, typeHTML, []byte("<!DOCTYPE html>\n<html><head><title>"+http.StatusText(b.status)+
			"</title></head><body><h1>"+strconv.Itoa(b.status)+" "+http.StatusText(b.status)+"</h1></body></html>\n"))
	case faultHalf, faultMiddle, noFault:
		if c.req.stream {
			c.stream(b.fault)
		} else {
			c.answer(b)
		}
	}
}

// cutOff closes the connection of the call.
func (c *call) cutOff(reset bool) {
	c.tally.cut.Add(1)
	c.leave()
	abort(c.w, reset)
}

// respondError answers with OpenAI's error envelope.
func (c *call) respondError(e *openai.Error) { c.respond(e.Status, typeJSON, errorBody(e)) }

// respond answers with a short body that is no success.
func (c *call) respond(status int, contentType string, body []byte) {
	c.setHeaders(contentType, int64(len(body)))
	c.w.WriteHeader(status)
	c.tally.statuses[status].Add(1)
	c.leave()
	_, _ = c.w.Write(body) // who has left misses an error only
}

// setHeaders sets the headers that every answer has; a size below 0 is not
// known.
func (c *call) setHeaders(contentType string, size int64) {
	id := append(make([]byte, 0, 36), openai.PrefixRequest...)
	id = appendHex(id, mix(c.set.Seed, uint64(c.req.key)))
	id = appendHex(id, c.sim.sequence.Add(1))
	values := []string{
		contentType, apiVersion, string(id),
		strconv.FormatInt(time.Since(c.began).Milliseconds(), 10),
		strconv.FormatInt(size, 10),
	}
	h := c.w.Header()
	h[headerContentType] = values[0:1:1]
	h[headerVersion] = values[1:2:2]
	h[headerRequestID] = values[2:3:3]
	h[headerProcessing] = values[3:4:4]
	if size >= 0 {
		h[headerContentLength] = values[4:5:5]
	}
}

// answer sends an answer in one piece: whole, or by half as the fault has it.
func (c *call) answer(b *behaviour) {
	c.buf = c.end.answer(c.buf[:0], &c.req)
	body := c.buf
	if b.pretty {
		body = indented(body)
	}
	p := payload{body: body, at: c.req.padAt, pad: max(b.bytes-int64(len(body)), 0)}
	size := p.size()
	if b.fault == faultHalf {
		size /= 2
	}
	c.setHeaders(typeJSON, size)
	switch {
	case b.fault == faultMiddle:
		_, _ = io.CopyN(c.w, p.reader(), size/2)
		_ = http.NewResponseController(c.w).Flush()
		c.cutOff(false)
	case b.fault == noFault && p.pad == 0 && size <= lastPart:
		c.finish(body, true)
	default:
		c.send(p.reader(), size, b.fault == noFault)
	}
}

// lastPart is the size of what a call writes once it has left. It is so small
// that the client cannot have seen the end before.
const lastPart = 4 << 10

// send writes size bytes of a large body.
func (c *call) send(r io.Reader, size int64, success bool) {
	last := min(size, lastPart)
	if _, err := io.CopyN(c.w, r, size-last); err != nil {
		c.lose(&c.tally.gone)
		return
	}
	rest, err := io.ReadAll(io.LimitReader(r, last))
	if err != nil {
		panic(err) // it reads memory
	}
	c.finish(rest, success)
}

// finish writes the end of a 200. The call leaves, and is counted, before the
// client can see it; a client that turns out to have left is counted instead.
func (c *call) finish(end []byte, success bool) {
	if c.r.Context().Err() != nil {
		c.lose(&c.tally.gone)
		return
	}
	c.count(success, 1)
	c.leave()
	_, err := c.w.Write(end)
	if err == nil {
		err = http.NewResponseController(c.w).Flush()
	}
	if err != nil {
		c.count(success, -1)
		c.tally.gone.Add(1)
	}
}

// count adds n to what a 200 counts for.
func (c *call) count(success bool, n int64) {
	c.tally.statuses[http.StatusOK].Add(n)
	if !success {
		return
	}
	c.tally.succeeded.Add(n)
	c.tally.prompt.Add(n * c.req.promptTokens)
	c.tally.completion.Add(n * c.req.completionTokens)
	c.body.succeeded.Add(uint32(n)) //nolint:gosec // 1, or -1 which wraps as it must
}

func indented(body []byte) []byte {
	var b bytes.Buffer
	if err := json.Indent(&b, body, "", "  "); err != nil {
		panic(err) // the simulator wrote it
	}
	return b.Bytes()
}

// payload is a body that is filled up without being held in memory.
type payload struct {
	body []byte
	at   int   // where the filling goes
	pad  int64 // its size
}

func (p payload) size() int64 { return int64(len(p.body)) + p.pad }

func (p payload) reader() io.Reader {
	fill := repeated('x') // inside a text
	if p.at == len(p.body) {
		fill = ' ' // behind the JSON
	}
	return io.MultiReader(bytes.NewReader(p.body[:p.at]), io.LimitReader(fill, p.pad), bytes.NewReader(p.body[p.at:]))
}

// repeated reads as one byte for ever.
type repeated byte

func (r repeated) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r)
	}
	return len(p), nil
}
