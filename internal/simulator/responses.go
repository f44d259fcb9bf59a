package simulator

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/openai"
)

func parseResponse(q *request) *openai.Error {
	input := q.fields.input
	if err := required("input", input); err != nil {
		return err
	}
	instructions, err := contentText("instructions", q.fields.instructions)
	if err != nil {
		return err
	}
	talk := conversation{bytes: len(instructions)}
	switch {
	case isString(input):
		talk.last = clean(input.Str)
		talk.bytes += len(talk.last)
	case input.IsArray():
		if err := talk.addItems(input); err != nil {
			return err
		}
	default:
		return invalidType("input", "a string or an array of input items", input)
	}
	q.prompts, q.promptTokens = append(q.prompts, talk.prompt()), tokens(talk.bytes)
	return q.compose("max_output_tokens", q.fields.maxOutput)
}

// addItems reads the messages among the items of an input; the others, tool
// calls and the like, are no text.
func (v *conversation) addItems(input gjson.Result) (err *openai.Error) {
	count := 0
	input.ForEach(func(_, item gjson.Result) bool {
		count++
		kind := item.Get("type")
		if item.IsObject() && !absent(kind) && kind.Str != "message" {
			return true
		}
		err = v.add("input", item)
		return err == nil
	})
	if err == nil && count == 0 {
		return emptyArray("input")
	}
	return err
}

// responseState is how far a Response is.
type responseState string

const (
	responseInProgress responseState = "in_progress"
	responseCompleted  responseState = "completed"
	responseIncomplete responseState = "incomplete" // ended by the limit
)

// outcome returns the state in which the answer to q ends.
func (q *request) outcome() responseState {
	if q.replies[0].full {
		return responseIncomplete
	}
	return responseCompleted
}

func appendResponse(b []byte, q *request) []byte {
	return q.appendResponseIn(b, q.outcome())
}

// appendResponseIn writes the Response object: without output and usage while
// it is in progress.
func (q *request) appendResponseIn(b []byte, state responseState) []byte {
	b = append(b, `{"id":"`...)
	b = q.appendID(b, "resp_")
	b = append(b, `","object":"response","created_at":`+created+`,"status":"`...)
	b = append(b, state...)
	b = append(b, `","background":false,"error":null,"incomplete_details":`...)
	if state == responseIncomplete {
		b = append(b, `{"reason":"max_output_tokens"}`...)
	} else {
		b = append(b, "null"...)
	}
	if state == responseCompleted {
		b = append(b, `,"completed_at":`+created...)
	}
	b = append(b, `,"instructions":`...)
	b = appendRaw(b, q.fields.instructions, "null")
	b = append(b, `,"max_output_tokens":`...)
	b = appendRaw(b, q.fields.maxOutput, "null")
	b = append(b, `,"model":`...)
	b = gjson.AppendJSONString(b, q.model)
	b = append(b, `,"output":[`...)
	if state != responseInProgress {
		b = q.appendMessage(b, state)
	}
	b = append(b, `],"parallel_tool_calls":true,"previous_response_id":null,`+
		`"reasoning":{"effort":null,"summary":null},"service_tier":"default","store":false,"temperature":1.0,`+
		`"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],"top_p":1.0,"truncation":"disabled","usage":`...)
	if state == responseInProgress {
		b = append(b, "null"...)
	} else {
		b = q.appendResponseUsage(b)
	}
	b = append(b, `,"user":`...)
	b = appendRaw(b, q.fields.user, "null")
	b = append(b, `,"metadata":`...)
	b = appendRaw(b, q.fields.metadata, "{}")
	return append(b, '}')
}

// appendRaw echoes a member of the request, or what stands for a missing one. A
// line break would end an event of a stream, so white space is left out.
func appendRaw(b []byte, value gjson.Result, missing string) []byte {
	if absent(value) {
		return append(b, missing...)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(clean(value.Raw))); err != nil {
		return append(b, missing...) // unreachable: the body was valid
	}
	return append(b, compact.Bytes()...)
}

func (q *request) appendResponseUsage(b []byte) []byte {
	b = append(b, `{"input_tokens":`...)
	b = strconv.AppendInt(b, q.promptTokens, 10)
	b = append(b, `,"input_tokens_details":{"cached_tokens":0},"output_tokens":`...)
	b = strconv.AppendInt(b, q.completionTokens, 10)
	b = append(b, `,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":`...)
	b = strconv.AppendInt(b, q.promptTokens+q.completionTokens, 10)
	return append(b, '}')
}

// appendMessage writes the only output item: without content while it is in
// progress.
func (q *request) appendMessage(b []byte, state responseState) []byte {
	b = append(b, `{"id":"`...)
	b = q.appendID(b, "msg_")
	b = append(b, `","type":"message","status":"`...)
	b = append(b, state...)
	b = append(b, `","role":"assistant","content":[`...)
	if state != responseInProgress {
		b = q.appendPart(b, q.replies[0].text)
	}
	return append(b, `]}`...)
}

func (q *request) appendPart(b []byte, text string) []byte {
	b = append(b, `{"type":"output_text","annotations":[],"logprobs":[],"text":`...)
	b = gjson.AppendJSONString(b, text)
	q.padAt = len(b) - len(`"`)
	return append(b, '}')
}
