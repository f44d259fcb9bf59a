package simulator

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/headrace/headrace/internal/openai"
)

// maxBody is the size of the largest request body that is read, in bytes.
const maxBody = 64 << 20

var errTooLarge = errors.New("request body too large")

// readBody reads the whole body of the request.
func (c *call) readBody() error {
	r := c.r
	if r.ContentLength > maxBody {
		return errTooLarge
	}
	// One byte more, so that the end shows without growing.
	c.buf = slices.Grow(c.buf[:0], int(max(r.ContentLength, 0))+1)
	for {
		n, err := r.Body.Read(c.buf[len(c.buf):cap(c.buf)])
		c.buf = c.buf[:len(c.buf)+n]
		switch {
		case len(c.buf) > maxBody:
			return errTooLarge
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read request body: %w", err)
		case len(c.buf) == cap(c.buf):
			c.buf = slices.Grow(c.buf, 1)
		}
	}
}

// unread ends a call whose body could not be read.
func (c *call) unread(err error) {
	if !errors.Is(err, errTooLarge) {
		c.lose(&c.tally.gone)
		return
	}
	e := openai.InvalidRequest("", "", "The request body is too large: at most %d bytes are allowed.", maxBody)
	e.Status = http.StatusRequestEntityTooLarge
	c.respondError(e)
}
