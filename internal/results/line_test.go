package results_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/results"
)

const batchID = "batch_0123456789abcdefghjkmnpqrs"

func TestLines(t *testing.T) {
	t.Parallel()
	n := results.NewNamer(batchID)
	const head = `{"id":"batch_req_0123456789abcdefghjkmnpqrs_42","custom_id":"a\u00e9",`
	failure := func(e *llm.Error) []byte { return n.AppendFailure(nil, 42, []byte(`"a\u00e9"`), e) }
	for name, c := range map[string]struct {
		line []byte
		want string
	}{
		"an answer stays as it came": {
			n.AppendAnswer(nil, 42, []byte(`"a\u00e9"`), llm.Response{Status: 200, RequestID: "req_x", Body: []byte(`{"b":1.0, "a":12345678901234567890,"b":"\u00e9"}`)}),
			`"response":{"status_code":200,"request_id":"req_x","body":{"b":1.0, "a":12345678901234567890,"b":"\u00e9"}},"error":null}`,
		},
		"line breaks between tokens go": {
			n.AppendAnswer(nil, 42, []byte(`"a\u00e9"`), llm.Response{Status: 200, RequestID: "req_x", Body: []byte("{\r\n  \"a\": \"x\\n\"\n}\n")}),
			`"response":{"status_code":200,"request_id":"req_x","body":{  "a": "x\n"}},"error":null}`,
		},
		"a provider without request ids": {
			n.AppendAnswer(nil, 42, []byte(`"a\u00e9"`), llm.Response{Status: 201, Body: []byte(`[]`)}),
			`"response":{"status_code":201,"request_id":"req_0123456789abcdefghjkmnpqrs_42","body":[]},"error":null}`,
		},
		"an answer of another target": {
			n.AppendAnswer(nil, 42, []byte(`"a\u00e9"`), llm.Response{
				Status: 200, RequestID: "req_x", Body: []byte(`{}`), Via: batch.Target{Provider: "backup", Model: "m\"1"},
			}),
			`"response":{"status_code":200,"request_id":"req_x","body":{}},"error":null,"headrace":{"model":"m\"1","provider":"backup"}}`,
		},
		"an error of the provider": {
			failure(&llm.Error{Status: 400, RequestID: "req_x", Body: []byte(`{"error":{"message":"bad","code":null}}`)}),
			`"response":{"status_code":400,"request_id":"req_x","body":{"error":{"message":"bad","code":null}}},"error":null}`,
		},
		"an error page": {
			failure(&llm.Error{Status: 502, RequestID: "req_x", Body: []byte("<h1>\n\"Bad\" \xff</h1>"), Code: "invalid_response"}),
			`"response":{"status_code":502,"request_id":"req_x","body":{"error":{"message":"\u003ch1\u003e\n\"Bad\" ` + "\ufffd" + `\u003c/h1\u003e","type":"server_error","param":null,"code":"invalid_response"}}},"error":null}`,
		},
		"an error without a body": {
			failure(&llm.Error{Status: 500, RequestID: "req_x", Message: "Internal Server Error"}),
			`"response":{"status_code":500,"request_id":"req_x","body":{"error":{"message":"Internal Server Error","type":"server_error","param":null,"code":"invalid_response"}}},"error":null}`,
		},
		"half an answer": {
			failure(&llm.Error{Status: 200, RequestID: "req_x", Body: []byte(`{"a":`), Code: "invalid_response", Message: "the response is not valid JSON"}),
			`"response":{"status_code":200,"request_id":"req_x","body":{"error":{"message":"{\"a\":","type":"server_error","param":null,"code":"invalid_response"}}},"error":{"code":"invalid_response","message":"the response is not valid JSON"}}`,
		},
		"no answer": {
			failure(&llm.Error{Code: "connection_error", Message: `read: "reset"`, Err: errors.New("reset")}),
			`"response":null,"error":{"code":"connection_error","message":"read: \"reset\""}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, head+c.want+"\n", string(c.line))
			require.True(t, json.Valid(c.line))
			require.Equal(t, 1, strings.Count(string(c.line), "\n"))
			number, err := results.NumberOf(c.line)
			require.NoError(t, err)
			require.Equal(t, int64(42), number)
			batch, err := results.BatchOf(c.line)
			require.NoError(t, err)
			require.Equal(t, batchID, batch)
		})
	}
}

func TestLinesOfOthersAreNotOurs(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{", `{"id":"batch_req_`, `{"id":"batch_req_abc"`, `{"id":"batch_req_abc_x"`, `{"custom_id":"a"}`} {
		_, err := results.NumberOf([]byte(text))
		require.Error(t, err, text)
	}
	_, err := results.BatchOf([]byte(`{"custom_id":"a"}`))
	require.Error(t, err)
}

func TestANamerNamesTheSameLineAlways(t *testing.T) {
	t.Parallel()
	id := openai.NewID(openai.PrefixBatch)
	a := results.NewNamer(id).AppendAnswer(nil, 7, []byte(`"x"`), llm.Response{Status: 200, Body: []byte("{}")})
	b := results.NewNamer(id).AppendAnswer(nil, 7, []byte(`"x"`), llm.Response{Status: 200, Body: []byte("{}")})
	require.Equal(t, a, b)
}
