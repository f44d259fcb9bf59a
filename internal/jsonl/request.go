package jsonl

import (
	"errors"

	"github.com/headrace/headrace/internal/jsonscan"
	"github.com/headrace/headrace/internal/openai"
)

// Request is the request of one line. Its slices are parts of the line's text,
// byte for byte. The line's method and url are not kept: Plan has seen to it
// that they are POST and the batch's endpoint.
type Request struct {
	// Line is the number of the request's line in the file, from 1.
	Line int64
	// CustomID is the JSON string of the custom_id as the user wrote it, quotes
	// and escapes included, for output lines that repeat it.
	CustomID []byte
	// Body is the JSON object of the request.
	Body []byte
	// Model is the body's model, "" when it has none.
	Model string
}

// ID returns the custom_id decoded.
func (r Request) ID() string { return string(jsonscan.Unquote(r.CustomID)) }

// errNoRequest is what Parse finds in a line that Plan would have refused.
var errNoRequest = errors.New("no JSON object with a custom_id and a body")

// Parse reads the request of l. It checks that the text is valid JSON and that
// custom_id is a string and body an object; whether the request suits a batch
// is for Plan to say. Of a name that an object repeats, the last counts, as
// with encoding/json; unlike there, case matters. The request is valid as long
// as l's text is.
func Parse(l Line) (Request, error) {
	var f fields
	if !f.parse(l.Text) || openai.KindOf(f.customID) != openai.KindString || openai.KindOf(f.body) != openai.KindObject {
		return Request{}, errNoRequest
	}
	r := Request{Line: l.Number, CustomID: f.customID, Body: f.body}
	if openai.KindOf(f.model) == openai.KindString {
		r.Model = string(jsonscan.Unquote(f.model))
	}
	return r, nil
}

// fields are the values of a line that are looked at, each as it stands in the
// text, nil if absent.
type fields struct {
	customID, method, url, body    []byte
	model, messages, input, stream []byte // of body
}

// parse finds the fields of text. It reports whether text is one valid JSON
// value in UTF-8; when it is not, or that is no object, it has no fields.
func (f *fields) parse(text []byte) bool {
	*f = fields{}
	if jsonscan.Scan(text, f) {
		return true
	}
	*f = fields{} // whatever was found before the text broke off
	return false
}

// Member implements jsonscan.Visitor for the members of a line.
func (f *fields) Member(name []byte) (*[]byte, jsonscan.Visitor) {
	switch string(name) {
	case "custom_id":
		return &f.customID, nil
	case "method":
		return &f.method, nil
	case "url":
		return &f.url, nil
	case "body":
		f.model, f.messages, f.input, f.stream = nil, nil, nil, nil // of an earlier body
		return &f.body, (*bodyFields)(f)
	default:
		return nil, nil
	}
}

// bodyFields are the fields of a line's body.
type bodyFields fields

// Member implements jsonscan.Visitor for the members of a body.
func (f *bodyFields) Member(name []byte) (*[]byte, jsonscan.Visitor) {
	switch string(name) {
	case "model":
		return &f.model, nil
	case "messages":
		return &f.messages, nil
	case "input":
		return &f.input, nil
	case "stream":
		return &f.stream, nil
	default:
		return nil, nil
	}
}
