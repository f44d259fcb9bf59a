package jsonl

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// MaxLine is the length in bytes, line ending included, of the longest line
// that is read. A longer one is reported by its number and skipped.
const MaxLine = 128 << 20

// bufferSize is how much is read at once. Lines that fit are used where they
// lie; longer ones are copied together.
const bufferSize = 256 << 10

// byteOrderMark is what some editors write at the start of a UTF-8 file.
var byteOrderMark = []byte("\xef\xbb\xbf")

// Line is one line of a file that holds more than whitespace.
type Line struct {
	// Number counts the physical lines of the file from 1, blank ones included.
	Number int64
	// Offset is where Text begins in the file, in bytes.
	Offset int64
	// Text is the line without its ending and without whitespace around it. It
	// is valid until the next call of Next, and nil when TooLong.
	Text []byte
	// TooLong says that the line exceeds MaxLine.
	TooLong bool
}

// Position is a place in a file at which a line begins: its offset in bytes
// and the number of that line. The zero Position is the start of the file.
type Position struct {
	Offset, Line int64
}

// Reader splits a file into lines. Lines end with LF or CRLF, the last one also
// with the file; a UTF-8 byte order mark at the start of the file is skipped.
// A Reader holds its buffer and one line, however long the file is. It is not
// for use by several goroutines.
type Reader struct {
	in     *bufio.Reader
	limit  int64
	offset int64  // of the next physical line
	number int64  // of the line last read
	long   []byte // a line that did not fit into in's buffer
}

// NewReader returns a Reader of in, whose first byte stands at from in the
// file. It reads ahead of the lines it returns.
func NewReader(in io.Reader, from Position) *Reader {
	return newReader(in, from, bufferSize, MaxLine)
}

func newReader(in io.Reader, from Position, buffer int, limit int64) *Reader {
	return &Reader{
		in:     bufio.NewReaderSize(in, buffer),
		limit:  limit,
		offset: from.Offset,
		number: max(from.Line, 1) - 1,
	}
}

// Next returns the next line that is not blank. At the end of the file the
// error is io.EOF; any other error comes from the underlying reader, with the
// number of the line that could not be read.
func (r *Reader) Next() (Line, error) {
	for {
		raw, size, err := r.physical()
		if size == 0 && errors.Is(err, io.EOF) {
			return Line{}, io.EOF
		}
		r.number++
		if err != nil && !errors.Is(err, io.EOF) {
			return Line{}, fmt.Errorf("read line %d: %w", r.number, err)
		}
		start := r.offset
		r.offset += size
		if size > r.limit {
			return Line{Number: r.number, Offset: start, TooLong: true}, nil
		}
		if start == 0 {
			raw = bytes.TrimPrefix(raw, byteOrderMark)
		}
		before := size - int64(len(raw)) // the byte order mark
		body := bytes.TrimLeft(raw, blanks)
		before += int64(len(raw) - len(body))
		if len(body) > 0 {
			return Line{Number: r.number, Offset: start + before, Text: bytes.TrimRight(body, blanks)}, nil
		}
	}
}

// blanks is the whitespace of RFC 8259. Other characters that look blank are
// no JSON, and their line is reported.
const blanks = " \t\r\n"

// physical returns the next line with its ending, and its size in the file. Of
// a line over the limit it returns the size alone. At the end of the file the
// error is io.EOF, with or without a last line.
func (r *Reader) physical() (raw []byte, size int64, err error) {
	raw, err = r.in.ReadSlice('\n')
	size = int64(len(raw))
	if !errors.Is(err, bufio.ErrBufferFull) {
		return raw, size, err
	}
	r.long = append(r.long[:0], raw...)
	for errors.Is(err, bufio.ErrBufferFull) {
		raw, err = r.in.ReadSlice('\n')
		size += int64(len(raw))
		if size > r.limit {
			r.long = nil // let go of what a hostile line has filled
			continue
		}
		r.long = append(r.long, raw...)
	}
	return r.long, size, err
}
