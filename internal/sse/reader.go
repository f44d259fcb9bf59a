package sse

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// ErrTooLarge is returned for a frame beyond the reader's limit.
var ErrTooLarge = errors.New("event stream: frame too large")

// Reader cuts an event stream into frames.
type Reader struct {
	r     *bufio.Reader
	limit int
	buf   []byte // the block that is being read
	begun bool
	err   error
}

// NewReader returns a reader of frames of at most limit bytes. It reads ahead,
// but returns a frame as soon as its end has come.
func NewReader(r io.Reader, limit int) *Reader {
	return &Reader{r: bufio.NewReader(r), limit: limit}
}

// byteOrderMark may begin a stream, and says nothing.
var byteOrderMark = []byte("\ufeff")

// Next returns the next frame, whose bytes belong to the caller. Comments are
// frames too; surplus empty lines belong to the frame that they precede.
//
// At the end it returns io.EOF. When the stream ends within a frame, Next
// returns what there is of it with io.ErrUnexpectedEOF, and with another error
// what had come before that. Once an error is returned, it stays.
func (r *Reader) Next() (Frame, error) {
	if r.err != nil {
		return Frame{}, r.err
	}
	raw, begun, err := r.block()
	if len(raw) > r.limit {
		raw, err = nil, ErrTooLarge
	}
	if errors.Is(err, io.EOF) && begun {
		err = io.ErrUnexpectedEOF
	}
	r.err = err
	if len(raw) == 0 {
		return Frame{}, err
	}
	r.buf, raw = raw[:0], bytes.Clone(raw)
	if errors.Is(err, io.EOF) {
		err = nil // the empty lines at the end are a frame; the next call says that it was the last
	}
	f := Frame{Raw: raw}
	if !r.begun {
		raw = bytes.TrimPrefix(raw, byteOrderMark)
	}
	r.begun = true
	f.read(raw)
	return f, err
}

// lineEnd is how a line ended.
type lineEnd int

const (
	withinLine lineEnd = iota
	lf
	cr
	crlf
)

// block reads up to the empty line that follows a line with something in it.
// Whether there was such a line, begun says.
//
// When an empty line ends in a carriage return, a line feed may follow that
// belongs to it. Whether to wait for it, the line before tells: a stream of CR
// LF goes on at once, one of CR alone perhaps not before the next event.
func (r *Reader) block() (raw []byte, begun bool, err error) {
	raw = r.buf
	for last := lf; ; {
		b, err := r.r.ReadByte()
		if err != nil {
			return raw, begun, err
		}
		raw = append(raw, b)
		switch {
		case b == '\n' && last == cr:
			last = crlf
		case b != '\r' && b != '\n':
			last, begun = withinLine, true
			raw = r.line(raw)
		case last == withinLine || !begun:
			last = endedBy(b)
		case b == '\r' && last == crlf:
			return r.lineFeed(raw), begun, nil
		default:
			return raw, begun, nil
		}
		if len(raw) > r.limit {
			return raw, begun, nil // and Next refuses it
		}
	}
}

// line appends to raw what has been read ahead of the line.
func (r *Reader) line(raw []byte) []byte {
	ahead, _ := r.r.Peek(r.r.Buffered()) // which is there
	for _, end := range []byte("\n\r") {
		if i := bytes.IndexByte(ahead, end); i >= 0 {
			ahead = ahead[:i]
		}
	}
	raw = append(raw, ahead...)
	_, _ = r.r.Discard(len(ahead))
	return raw
}

func endedBy(b byte) lineEnd {
	if b == '\r' {
		return cr
	}
	return lf
}

// lineFeed waits for the next byte and appends it to raw if it is a line feed.
func (r *Reader) lineFeed(raw []byte) []byte {
	next, _ := r.r.Peek(1) // an error comes again with the next frame
	if len(next) == 0 || next[0] != '\n' {
		return raw
	}
	_, _ = r.r.Discard(1)
	return append(raw, '\n')
}
