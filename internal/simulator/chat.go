package simulator

import (
	"iter"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/openai"
)

func parseChat(q *request) *openai.Error {
	messages := q.fields.messages
	if err := required("messages", messages); err != nil {
		return err
	}
	if !messages.IsArray() {
		return invalidType("messages", "an array of objects", messages)
	}
	var (
		talk  conversation
		count int
		err   *openai.Error
	)
	messages.ForEach(func(_, message gjson.Result) bool {
		err = talk.add("messages", message)
		count++
		return err == nil
	})
	if err != nil {
		return err
	}
	if count == 0 {
		return emptyArray("messages")
	}
	q.prompts, q.promptTokens = append(q.prompts, talk.prompt()), tokens(talk.bytes)
	if !absent(q.fields.maxCompletion) {
		return q.compose("max_completion_tokens", q.fields.maxCompletion)
	}
	return q.compose("max_tokens", q.fields.maxTokens)
}

func appendChat(b []byte, q *request) []byte {
	b = q.appendChatHead(b, "chat.completion")
	b = append(b, `,"choices":[`...)
	for i, reply := range q.choices() {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"index":`...)
		b = strconv.AppendInt(b, int64(i), 10)
		b = append(b, `,"message":{"role":"assistant","content":`...)
		b = gjson.AppendJSONString(b, reply.text)
		q.padAt = len(b) - len(`"`)
		b = append(b, `,"refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"`...)
		b = append(b, reply.finishReason()...)
		b = append(b, `"}`...)
	}
	b = append(b, `],"usage":`...)
	b = q.appendUsage(b)
	return append(b, '}')
}

// appendChatHead opens the object that answers and chunks have in common.
func (q *request) appendChatHead(b []byte, object string) []byte {
	b = append(b, `{"id":"`...)
	b = q.appendID(b, "chatcmpl-")
	b = append(b, `","object":"`...)
	b = append(b, object...)
	b = append(b, `","created":`+created+`,"model":`...)
	b = gjson.AppendJSONString(b, q.model)
	b = append(b, `,"service_tier":"default","system_fingerprint":"fp_`...)
	b = appendHex(b, uint64(q.key))
	return append(b, '"')
}

// appendUsage writes the usage of chat completions and completions.
func (q *request) appendUsage(b []byte) []byte {
	b = append(b, `{"prompt_tokens":`...)
	b = strconv.AppendInt(b, q.promptTokens, 10)
	b = append(b, `,"completion_tokens":`...)
	b = strconv.AppendInt(b, q.completionTokens, 10)
	b = append(b, `,"total_tokens":`...)
	b = strconv.AppendInt(b, q.promptTokens+q.completionTokens, 10)
	return append(b, `,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},`+
		`"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,`+
		`"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}`...)
}

// chatEvents streams each choice in turn: the role, the text in pieces, the
// finish reason; then the usage where it is wanted, and [DONE].
func chatEvents(q *request) iter.Seq2[[]byte, bool] {
	return func(yield func([]byte, bool) bool) {
		s := chunkStream{q: q, head: q.appendChatHead(nil, "chat.completion.chunk"), yield: yield}
		for i, reply := range q.choices() {
			if !s.choice(i, reply) {
				return
			}
		}
		s.finish()
	}
}

// choice yields the chunks of one choice, and reports whether the reader wants
// more.
func (s *chunkStream) choice(i int, r reply) bool {
	if !s.chunk(i, `"delta":{"role":"assistant","content":"","refusal":null}`, "") {
		return false
	}
	for piece := range pieces(r.text) {
		if !s.chunk(i, `"delta":{"content":`+string(gjson.AppendJSONString(nil, piece))+`}`, "") {
			return false
		}
	}
	return s.chunk(i, `"delta":{}`, r.finishReason())
}
