package simulator

import (
	"iter"
	"strconv"

	"github.com/tidwall/gjson"
)

// responseEvents streams a Response: created, in progress, the item, its part,
// the text in pieces, the ends of these, and the whole. There is no [DONE].
func responseEvents(q *request) iter.Seq2[[]byte, bool] {
	return func(yield func([]byte, bool) bool) {
		s := responseStream{q: q, yield: yield}
		_ = s.opening() && s.deltas() && s.closing()
	}
}

// responseStream yields events until the reader has enough, which its methods
// report by returning false.
type responseStream struct {
	q     *request
	seq   int64
	buf   []byte
	yield func([]byte, bool) bool
}

func (s *responseStream) opening() bool {
	return s.whole("response.created", responseInProgress, false) &&
		s.whole("response.in_progress", responseInProgress, false) &&
		s.item("response.output_item.added", responseInProgress) &&
		s.part("response.content_part.added", "")
}

func (s *responseStream) deltas() bool {
	for piece := range pieces(s.q.replies[0].text) {
		if !s.text("response.output_text.delta", "delta", piece) {
			return false
		}
	}
	return true
}

func (s *responseStream) closing() bool {
	text, state := s.q.replies[0].text, s.q.outcome()
	return s.text("response.output_text.done", "text", text) &&
		s.part("response.content_part.done", text) &&
		s.item("response.output_item.done", state) &&
		s.whole("response."+string(state), state, true)
}

// whole yields an event that carries the Response.
func (s *responseStream) whole(kind string, state responseState, last bool) bool {
	b := append(s.open(kind), `,"response":`...)
	return s.send(s.q.appendResponseIn(b, state), last)
}

// item yields an event that carries the output item.
func (s *responseStream) item(kind string, state responseState) bool {
	b := append(s.open(kind), `,"output_index":0,"item":`...)
	return s.send(s.q.appendMessage(b, state), false)
}

// part yields an event that carries the content part.
func (s *responseStream) part(kind, text string) bool {
	b := append(s.within(kind), `,"part":`...)
	return s.send(s.q.appendPart(b, text), false)
}

// text yields an event that carries text, as the member called name.
func (s *responseStream) text(kind, name, text string) bool {
	b := append(s.within(kind), `,"logprobs":[],"`...)
	b = append(append(b, name...), `":`...)
	return s.send(gjson.AppendJSONString(b, text), false)
}

// within opens an event about something inside the output item.
func (s *responseStream) within(kind string) []byte {
	b := append(s.open(kind), `,"item_id":"`...)
	b = s.q.appendID(b, "msg_")
	return append(b, `","output_index":0,"content_index":0`...)
}

func (s *responseStream) open(kind string) []byte {
	b := append(append(s.buf[:0], "event: "...), kind...)
	b = append(append(b, "\ndata: {\"type\":\""...), kind...)
	b = append(b, `","sequence_number":`...)
	b = strconv.AppendInt(b, s.seq, 10)
	s.seq++
	return b
}

func (s *responseStream) send(event []byte, last bool) bool {
	s.buf = append(event, "}\n\n"...)
	return s.yield(s.buf, last)
}
