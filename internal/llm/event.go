package llm

import (
	"bytes"
	"slices"

	"github.com/headrace/headrace/internal/jsonscan"
	"github.com/headrace/headrace/internal/openai"
)

// Event is what an event of a stream says besides the text that it carries.
type Event struct {
	// Type is that of an event of /v1/responses; chunks of completions have none.
	Type string
	// Usage is what the call has cost so far, or nil where the event does not
	// say. Most say nothing; the last that does is right.
	Usage *openai.Usage
	// Failed says that the provider has given up, for the reason in Code and
	// Message.
	Failed        bool
	Code, Message string
}

// typeError is the type of the event by which /v1/responses gives up.
const typeError = "error"

// EventOf reads the data of an event. Data that is no JSON says nothing.
//
// Streams of completions give up with an "error" beside or in place of the
// choices, those of responses with an event of that type, whose code and message
// stand in the event itself or, with some providers, in its "error".
func EventOf(data []byte) Event {
	var f eventFields
	if !jsonscan.Scan(data, event{&f}) {
		return Event{}
	}
	e := Event{Type: text(f.kind)}
	if usage := f.usage(); f.known() {
		e.Usage = &usage
	}
	if e.Type == typeError {
		e.Failed, e.Code, e.Message = true, text(f.code), text(f.message)
	}
	e.read(f.failure)
	return e
}

// read reads an "error", which is an object or, with some providers, a message.
// Null and the like mean that there is none.
func (e *Event) read(failure []byte) {
	if message := text(failure); message != "" {
		e.Failed, e.Message = true, message
		return
	}
	if len(failure) == 0 || failure[0] != '{' {
		return
	}
	e.Failed = true
	var f errorFields
	jsonscan.Scan(failure, &f)
	if f.code != nil {
		e.Code = text(f.code)
	}
	if f.message != nil {
		e.Message = text(f.message)
	}
}

// text is a JSON string, or a number as it is written; anything else is empty.
func text(raw []byte) string {
	if len(raw) == 0 {
		return ""
	}
	switch raw[0] {
	case '"':
		return string(jsonscan.Unquote(raw))
	case '{', '[', 'n', 't', 'f':
		return ""
	default:
		return string(raw)
	}
}

// eventFields are the members of an event that count, as they stand in the text.
type eventFields struct {
	usageFields
	errorFields

	kind, failure []byte
}

// errorFields are those of an error.
type errorFields struct{ code, message []byte }

// Member implements jsonscan.Visitor.
func (f *errorFields) Member(name []byte) (*[]byte, jsonscan.Visitor) {
	switch string(name) {
	case "code":
		return &f.code, nil
	case "message":
		return &f.message, nil
	default:
		return nil, nil
	}
}

// event visits an event.
type event struct{ *eventFields }

// Member implements jsonscan.Visitor.
func (e event) Member(name []byte) (*[]byte, jsonscan.Visitor) {
	switch string(name) {
	case "type":
		return &e.kind, nil
	case "error":
		return &e.failure, nil
	case "usage":
		return nil, usage{&e.usageFields}
	case "response":
		return nil, answer{&e.usageFields}
	default:
		return e.errorFields.Member(name)
	}
}

// done ends streams of completions.
var done = []byte("[DONE]")

// terminal are the types of events that end streams of responses. A response
// that has failed is an answer like another.
var terminal = []string{"response.completed", "response.failed", "response.incomplete", "response.cancelled"}

// Ends reports whether the event, of which data is the whole, is the one that
// makes an endpoint's stream complete.
func (e Event) Ends(endpoint openai.Endpoint, data []byte) bool {
	if endpoint == openai.Responses {
		return slices.Contains(terminal, e.Type)
	}
	return bytes.Equal(bytes.TrimSpace(data), done)
}
