package sse

import (
	"bytes"
	"slices"
)

// Frame is one block of an event stream: its lines, with the empty line that
// ends them.
type Frame struct {
	// Raw is the block as it came. The frames of a stream, put together, are the
	// stream.
	Raw []byte
	// Event names the type of the event; "" if the block does not.
	Event string
	// Data is the payload, of which lines are separated by one line feed. It is
	// nil if the block is no event: comments, say, which keep a connection
	// alive. It may be part of Raw.
	Data []byte
	// ID is that of the event; "" if the block has none.
	ID string
}

// Parse reads the fields of a block. What is no field of an event is passed
// over, as the standard wants it.
func Parse(raw []byte) Frame {
	f := Frame{Raw: raw}
	f.read(raw)
	return f
}

// read reads the lines of a block.
func (f *Frame) read(lines []byte) {
	for len(lines) > 0 {
		var line []byte
		line, lines = cutLine(lines)
		name, value, valued := bytes.Cut(line, []byte{':'}) // a comment has an empty name
		if !valued {
			value = []byte{}
		}
		value = bytes.TrimPrefix(value, []byte{' '})
		switch string(name) {
		case "event":
			f.Event = string(value)
		case "id":
			if bytes.IndexByte(value, 0) < 0 {
				f.ID = string(value)
			}
		case "data":
			if f.Data == nil {
				f.Data = slices.Clip(value) // appending must not reach into Raw
			} else {
				f.Data = append(append(f.Data, '\n'), value...)
			}
		}
	}
}

// cutLine returns the first line without its end, and what follows. A line ends
// with a line feed, a carriage return, both in the order CR LF, or the text.
func cutLine(text []byte) (line, rest []byte) {
	i := bytes.IndexAny(text, "\r\n")
	switch {
	case i < 0:
		return text, nil
	case text[i] == '\r' && i+1 < len(text) && text[i+1] == '\n':
		return text[:i], text[i+2:]
	default:
		return text[:i], text[i+1:]
	}
}
