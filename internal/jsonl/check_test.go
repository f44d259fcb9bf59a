package jsonl_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/jsonl"
	"github.com/headrace/headrace/internal/openai"
)

// check plans a file of one line and returns its error as "code param message",
// "" if there is none.
func check(t *testing.T, endpoint openai.Endpoint, line string) string {
	t.Helper()
	s, err := jsonl.Plan(t.Context(), strings.NewReader(line), io.Discard, jsonl.PlanOptions{Endpoint: endpoint})
	require.NoError(t, err)
	require.Len(t, s.Errors, int(s.ErrorCount))
	if len(s.Errors) == 0 {
		return ""
	}
	e := s.Errors[0]
	require.Len(t, s.Errors, 1)
	require.EqualValues(t, 1, *e.Line)
	param := "-"
	if e.Param != nil {
		param = *e.Param
	}
	return e.Code + " " + param + " " + e.Message
}

// Good fields of a line for chat completions.
const (
	id   = `"custom_id":"a"`
	post = `"method":"POST"`
	url  = `"url":"/v1/chat/completions"`
	body = `"body":{"model":"m","messages":[{}]}`
)

func missing(param string) string {
	return fmt.Sprintf("missing_required_parameter %[1]s Missing required parameter: '%[1]s'.", param)
}

func wrong(param, want, got string) string {
	return fmt.Sprintf("invalid_type %[1]s Invalid type for '%[1]s': expected %s, but got %s instead.", param, want, got)
}

// lineTest is a line with these fields and the error it has.
type lineTest struct {
	name   string
	fields []string
	want   string
}

func checkLines(t *testing.T, tests []lineTest) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, check(t, openai.ChatCompletions, "{"+strings.Join(tt.fields, ",")+"}"))
		})
	}
}

func TestTheCustomIDIsChecked(t *testing.T) {
	t.Parallel()
	checkLines(t, []lineTest{
		{"no custom_id", []string{post, url, body}, missing("custom_id")},
		{"null custom_id", []string{`"custom_id":null`, post, url, body}, missing("custom_id")},
		{"integer custom_id", []string{`"custom_id":-7`, post, url, body}, wrong("custom_id", "a string", "an integer")},
		{"decimal custom_id", []string{`"custom_id":7.0`, post, url, body}, wrong("custom_id", "a string", "a decimal number")},
		{"exponent custom_id", []string{`"custom_id":7E3`, post, url, body}, wrong("custom_id", "a string", "a decimal number")},
		{"boolean custom_id", []string{`"custom_id":true`, post, url, body}, wrong("custom_id", "a string", "a boolean")},
		{"array custom_id", []string{`"custom_id":["a"]`, post, url, body}, wrong("custom_id", "a string", "an array")},
		{"object custom_id", []string{`"custom_id":{}`, post, url, body}, wrong("custom_id", "a string", "an object")},
		{"empty custom_id", []string{`"custom_id":""`, post, url, body}, "invalid_value custom_id Invalid 'custom_id': empty string. " +
			"Expected a string with minimum length 1, but got an empty string instead."},
		{"blank custom_id", []string{`"custom_id":" "`, post, url, body}, ""},
		{"NUL in custom_id", []string{`"custom_id":"\u0000"`, post, url, body}, ""},
	})
}

func TestTheOtherFieldsOfALineAreChecked(t *testing.T) {
	t.Parallel()
	checkLines(t, []lineTest{
		{"all good", []string{id, post, url, body}, ""},
		{"in any order, with others", []string{body, `"x":1`, url, post, id, `"y":[{}]`}, ""},
		{"escaped values", []string{id, `"method":"\u0050OST"`, `"url":"\/v1\/chat\/completions"`, body}, ""},

		{"no method", []string{id, url, body}, missing("method")},
		{"wrong method", []string{id, `"method":"GET"`, url, body}, "invalid_value method Invalid value: 'GET'. Supported values are: 'POST'."},
		{"lower-case method", []string{id, `"method":"post"`, url, body}, "invalid_value method Invalid value: 'post'. Supported values are: 'POST'."},
		{
			"long method", []string{id, `"method":"` + strings.Repeat("é", 1000) + `"`, url, body},
			"invalid_value method Invalid value: '" + strings.Repeat("é", 64) + "'. Supported values are: 'POST'.",
		},
		{"method of another type", []string{id, `"method":[]`, url, body}, wrong("method", "a string", "an array")},

		{"no url", []string{id, post, body}, missing("url")},
		{"another url", []string{id, post, `"url":"/v1/responses"`, body}, "invalid_url url The URL provided for this request does not match the batch endpoint."},
		{"url of another type", []string{id, post, `"url":false`, body}, wrong("url", "a string", "a boolean")},

		{"no body", []string{id, post, url}, missing("body")},
		{"null body", []string{id, post, url, `"body":null`}, missing("body")},
		{"string body", []string{id, post, url, `"body":"{}"`}, wrong("body", "an object", "a string")},

		{"custom_id before method", []string{`"method":1`}, missing("custom_id")},
		{"method before url", []string{id, `"method":""`, `"url":""`}, "invalid_value method Invalid value: ''. Supported values are: 'POST'."},
		{"url before body", []string{id, post, `"url":""`}, "invalid_url url The URL provided for this request does not match the batch endpoint."},
	})
}

func TestALineThatIsNoObjectIsAnInvalidLine(t *testing.T) {
	t.Parallel()
	for _, line := range []string{`[]`, `"a"`, `1`, `null`, `true`} {
		require.Equal(t, "invalid_json_line - This line is not a JSON object.", check(t, openai.ChatCompletions, line))
	}
	for _, line := range []string{`{`, `{}{}`, `{} x`, `nul`, "{\"a\":\"\t\"}", `{'a':1}`, `{"a":NaN}`, `//`, "\u00a0"} {
		require.Equal(t, "invalid_json_line - This line is not parseable as valid JSON.", check(t, openai.ChatCompletions, line))
	}
}

func TestTheBodyIsCheckedAgainstTheEndpoint(t *testing.T) {
	t.Parallel()
	const (
		noModel    = "invalid_request body.model Model parameter is required."
		noMessages = "invalid_request body.messages Messages parameter is required."
		noInput    = "invalid_request body.input Input parameter is required."
	)
	tests := []struct {
		endpoint openai.Endpoint
		body     string
		want     string
	}{
		{openai.ChatCompletions, `{"messages":[{}]}`, noModel},
		{openai.ChatCompletions, `{"model":null,"messages":[{}]}`, noModel},
		{openai.ChatCompletions, `{"model":"","messages":[{}]}`, noModel},
		{openai.ChatCompletions, `{"model":4,"messages":[{}]}`, "invalid_type body.model Invalid type for 'body.model': expected a string, but got an integer instead."},
		{openai.ChatCompletions, `{"model":"m"}`, noMessages},
		{openai.ChatCompletions, `{"model":"m","messages":null}`, noMessages},
		{openai.ChatCompletions, `{"model":"m","messages":"Hi"}`, noMessages},
		{openai.ChatCompletions, `{"model":"m","messages":{}}`, noMessages},
		{openai.ChatCompletions, `{"model":"m","messages":[ ]}`, noMessages},
		{openai.ChatCompletions, `{"model":"m","messages":[ {} ]}`, ""},
		{openai.ChatCompletions, `{"model":"m","messages":[{}],"stream":true}`, "streaming_unsupported body.stream Chat Completions: Streaming is not supported in the Batch API."},
		{openai.ChatCompletions, `{"model":"m","messages":[{}],"stream":false}`, ""},
		{openai.ChatCompletions, `{"model":"m","messages":[{}],"stream":null}`, ""},
		{openai.ChatCompletions, `{"stream":true}`, noModel},

		{openai.Embeddings, `{"model":"m"}`, noInput},
		{openai.Embeddings, `{"model":"m","input":null}`, noInput},
		{openai.Embeddings, `{"model":"m","input":""}`, ""},
		{openai.Embeddings, `{"model":"m","input":[1,2]}`, ""},
		{openai.Embeddings, `{"input":"x"}`, noModel},

		{openai.Moderations, `{"input":"x"}`, ""},
		{openai.Moderations, `{"model":"","input":"x"}`, ""},
		{openai.Moderations, `{"model":null,"input":"x"}`, ""},
		{openai.Moderations, `{"model":[],"input":"x"}`, "invalid_type body.model Invalid type for 'body.model': expected a string, but got an array instead."},
		{openai.Moderations, `{"model":"m"}`, noInput},

		{openai.Responses, `{"model":"m"}`, ""},
		{openai.Responses, `{}`, noModel},
		{openai.Responses, `{"model":"m","stream":true}`, "streaming_unsupported body.stream Responses: Streaming is not supported in the Batch API."},
		{openai.Completions, `{"model":"m"}`, ""},
		{openai.Completions, `{"prompt":"x"}`, noModel},
	}
	for _, tt := range tests {
		t.Run(string(tt.endpoint)+tt.body, func(t *testing.T) {
			t.Parallel()
			line := fmt.Sprintf(`{"custom_id":"a","method":"POST","url":%q,"body":%s}`, tt.endpoint, tt.body)
			require.Equal(t, tt.want, check(t, tt.endpoint, line))
		})
	}
}

func TestModerationsMayLeaveOutTheModel(t *testing.T) {
	t.Parallel()
	with := func(id int, model string) string {
		return fmt.Sprintf(`{"custom_id":"%d","method":"POST","url":"/v1/moderations","body":{%s"input":"x"}}`, id, model)
	}
	tests := []struct{ name, file, want string }{
		{"none named", file(with(1, ""), with(2, "")), ""},
		{"all named", file(with(1, `"model":"m",`), with(2, `"model":"m",`)), "m"},
		{"the first named", file(with(1, `"model":"m",`), with(2, "")), ""},
		{"the second named", file(with(1, ""), with(2, `"model":"m",`)), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, err := jsonl.Plan(t.Context(), strings.NewReader(tt.file), io.Discard, jsonl.PlanOptions{Endpoint: openai.Moderations})
			require.NoError(t, err)
			require.Empty(t, s.Errors)
			require.Equal(t, tt.want, s.Model)
		})
	}
}
