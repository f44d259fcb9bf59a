package simulator

import (
	"cmp"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/jsonscan"
	"github.com/headrace/headrace/internal/openai"
)

// request is the body of a call, as far as it matters for the answer.
type request struct {
	seed uint64
	key  bodyKey

	fields    fields
	model     string
	directive string // with its prefix; empty without one
	stream    bool
	withUsage bool // a stream ends with its usage

	prompts []string // the texts to answer, at least one
	n       int      // answers per prompt
	limit   int64    // tokens that each answer must have; 0 without a limit
	replies []reply  // one per prompt, where the endpoint writes text

	promptTokens, completionTokens int64

	padAt int // where endpoint.answer says that text may be inserted
}

// fields are the members of a body that some endpoint reads.
type fields struct {
	model, user, metadata, stream, streamOptions gjson.Result
	messages, prompt, input, instructions        gjson.Result
	n, dimensions, encodingFormat                gjson.Result
	maxTokens, maxCompletion, maxOutput          gjson.Result
}

// collect fills f from an object. Of a member that stands twice the last
// counts.
func (f *fields) collect(body gjson.Result) {
	body.ForEach(func(name, value gjson.Result) bool {
		if place := f.place(name.Str); place != nil {
			*place = value
		}
		return true
	})
}

func (f *fields) place(name string) *gjson.Result {
	switch name {
	case "model":
		return &f.model
	case "user":
		return &f.user
	case "metadata":
		return &f.metadata
	case "stream":
		return &f.stream
	case "stream_options":
		return &f.streamOptions
	case "messages":
		return &f.messages
	case "prompt":
		return &f.prompt
	case "input":
		return &f.input
	case "instructions":
		return &f.instructions
	case "n":
		return &f.n
	case "dimensions":
		return &f.dimensions
	case "encoding_format":
		return &f.encodingFormat
	case "max_tokens":
		return &f.maxTokens
	case "max_completion_tokens":
		return &f.maxCompletion
	case "max_output_tokens":
		return &f.maxOutput
	}
	return nil
}

// parse reads a body for an endpoint.
func (q *request) parse(body []byte, end endpoint, set *settings) *openai.Error {
	if !jsonscan.Valid(body) {
		return openai.InvalidRequest("", "", "We could not parse the JSON body of your request. "+
			"The OpenAI API expects a JSON payload, but what was sent was not valid JSON.")
	}
	root := gjson.ParseBytes(body)
	if !root.IsObject() {
		return openai.InvalidRequest("", "", "Invalid body: expected an object, but got %s instead.", article(root))
	}
	q.fields.collect(root)
	q.directive = q.fields.directive()
	if err := q.parseModel(end.model, set); err != nil {
		return err
	}
	if err := q.parseStream(end.events != nil); err != nil {
		return err
	}
	return end.parse(q)
}

// directive returns the directive that a body carries, or an empty string.
func (f *fields) directive() string {
	if strings.HasPrefix(f.user.Str, directivePrefix) {
		return f.user.Str
	}
	carrier := f.metadata
	if carrier.IsObject() {
		carrier = carrier.Get("sim")
	}
	if strings.HasPrefix(carrier.Str, directivePrefix) {
		return carrier.Str
	}
	return ""
}

// parseModel reads the model, which is optional where there is a usual one.
func (q *request) parseModel(usual string, set *settings) *openai.Error {
	model := q.fields.model
	if !absent(model) && !isString(model) {
		return invalidType("model", "a string", model)
	}
	q.model = cmp.Or(clean(model.Str), usual)
	if q.model == "" {
		return openai.InvalidRequest("", "", "you must provide a model parameter")
	}
	if !set.serves(q.model) {
		return unknownModel(q.model)
	}
	return nil
}

func (q *request) parseStream(streams bool) *openai.Error {
	value := q.fields.stream
	switch {
	case absent(value):
		return nil
	case !streams:
		return openai.InvalidRequest("stream", openai.CodeUnknownParameter, "Unknown parameter: 'stream'.")
	case !value.IsBool():
		return invalidType("stream", "a boolean", value)
	}
	q.stream = value.Bool()
	q.withUsage = q.stream && q.fields.streamOptions.Get("include_usage").Bool()
	return nil
}

// whole reads an optional whole number; absent ones are 0.
func whole(name string, value gjson.Result, lowest, highest int64) (int64, *openai.Error) {
	if absent(value) {
		return 0, nil
	}
	n := value.Int()
	if value.Type != gjson.Number || value.Num != float64(n) {
		return 0, invalidType(name, "an integer", value)
	}
	if n < lowest {
		return 0, openai.InvalidRequest(name, "integer_below_min_value",
			"Invalid '%s': integer below minimum value. Expected a value >= %d, but got %d instead.", name, lowest, n)
	}
	if n > highest {
		return 0, openai.InvalidRequest(name, "integer_above_max_value",
			"Invalid '%s': integer above maximum value. Expected a value <= %d, but got %d instead.", name, highest, n)
	}
	return n, nil
}

// absent reports whether a member is missing or null, which are the same to
// the API.
func absent(r gjson.Result) bool { return r.Type == gjson.Null }

func isString(r gjson.Result) bool { return r.Type == gjson.String }

// required refuses a member that is missing.
func required(name string, value gjson.Result) *openai.Error {
	if absent(value) {
		return openai.MissingParameter(name)
	}
	return nil
}

func invalidType(name, want string, got gjson.Result) *openai.Error {
	return openai.InvalidRequest(name, openai.CodeInvalidType,
		"Invalid type for '%s': expected %s, but got %s instead.", name, want, article(got))
}

func emptyArray(name string) *openai.Error {
	return openai.InvalidRequest(name, "empty_array",
		"Invalid '%s': empty array. Expected an array with minimum length 1, but got an empty array instead.", name)
}

// article names the type of a value in a sentence.
func article(r gjson.Result) string {
	switch {
	case r.IsArray():
		return "an array"
	case r.IsObject():
		return "an object"
	case r.IsBool():
		return "a boolean"
	case isString(r):
		return "a string"
	case absent(r):
		return "null"
	default:
		return "a number"
	}
}
