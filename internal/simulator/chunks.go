package simulator

import "strconv"

// chunkStream yields the events of chat completions and completions, which
// differ in one member of a choice.
type chunkStream struct {
	q     *request
	head  []byte // what every chunk starts with
	buf   []byte
	yield func([]byte, bool) bool
}

// chunk yields a chunk with one choice, of which content is the member that
// the endpoints do not share; an empty finish reason is null. It reports
// whether the reader wants more.
func (s *chunkStream) chunk(index int, content, finishReason string) bool {
	b := s.open()
	b = append(b, `,"choices":[{"index":`...)
	b = strconv.AppendInt(b, int64(index), 10)
	b = append(b, ',')
	b = append(b, content...)
	b = append(b, `,"logprobs":null,"finish_reason":`...)
	if finishReason == "" {
		b = append(b, "null}]"...)
	} else {
		b = append(append(append(b, '"'), finishReason...), `"}]`...)
	}
	if s.q.withUsage {
		b = append(b, `,"usage":null`...)
	}
	return s.send(append(b, "}\n\n"...), false)
}

// finish yields the usage, where it is wanted, and the end.
func (s *chunkStream) finish() {
	if s.q.withUsage {
		b := append(s.open(), `,"choices":[],"usage":`...)
		b = s.q.appendUsage(b)
		if !s.send(append(b, "}\n\n"...), false) {
			return
		}
	}
	s.send(append(s.buf[:0], "data: [DONE]\n\n"...), true)
}

func (s *chunkStream) open() []byte {
	return append(append(s.buf[:0], "data: "...), s.head...)
}

// send yields an event and keeps its memory for the next.
func (s *chunkStream) send(event []byte, last bool) bool {
	s.buf = event
	return s.yield(event, last)
}
