package simulator

import (
	"iter"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/openai"
)

func parseCompletion(q *request) *openai.Error {
	if err := q.parsePrompts("prompt", q.fields.prompt); err != nil {
		return err
	}
	return q.compose("max_tokens", q.fields.maxTokens)
}

func appendCompletion(b []byte, q *request) []byte {
	b = q.appendCompletionHead(b)
	b = append(b, `,"choices":[`...)
	for i, reply := range q.choices() {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"text":`...)
		b = gjson.AppendJSONString(b, reply.text)
		q.padAt = len(b) - len(`"`)
		b = append(b, `,"index":`...)
		b = strconv.AppendInt(b, int64(i), 10)
		b = append(b, `,"logprobs":null,"finish_reason":"`...)
		b = append(b, reply.finishReason()...)
		b = append(b, `"}`...)
	}
	b = append(b, `],"usage":`...)
	b = q.appendUsage(b)
	return append(b, '}')
}

// appendCompletionHead opens the object that answers and chunks share.
func (q *request) appendCompletionHead(b []byte) []byte {
	b = append(b, `{"id":"`...)
	b = q.appendID(b, "cmpl-")
	b = append(b, `","object":"text_completion","created":`+created+`,"model":`...)
	b = gjson.AppendJSONString(b, q.model)
	b = append(b, `,"system_fingerprint":"fp_`...)
	b = appendHex(b, uint64(q.key))
	return append(b, '"')
}

func completionEvents(q *request) iter.Seq2[[]byte, bool] {
	return func(yield func([]byte, bool) bool) {
		s := chunkStream{q: q, head: q.appendCompletionHead(nil), yield: yield}
		for i, reply := range q.choices() {
			for piece := range pieces(reply.text) {
				if !s.chunk(i, `"text":`+string(gjson.AppendJSONString(nil, piece)), "") {
					return
				}
			}
			if !s.chunk(i, `"text":""`, reply.finishReason()) {
				return
			}
		}
		s.finish()
	}
}
