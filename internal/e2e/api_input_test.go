package e2e_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// badLine is a line of an input, and the error that it should get.
type badLine struct {
	text, code, param, message string
}

func badLines() []badLine {
	const good = `"method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[{"role":"user","content":"Bad neighbours"}]`
	return []badLine{
		{"not JSON", "invalid_json_line", "", "not parseable"},
		{`{"custom_id":"cut",` + good, "invalid_json_line", "", "not parseable"},
		{`["custom_id"]`, "invalid_json_line", "", "not a JSON object"},
		{`{` + good + `}}`, "missing_required_parameter", "custom_id", "'custom_id'"},
		{`{"custom_id":7,` + good + `}}`, "invalid_type", "custom_id", "expected a string, but got an integer"},
		{`{"custom_id":"",` + good + `}}`, "invalid_value", "custom_id", "empty string"},
		{`{"custom_id":"no-method","url":"/v1/chat/completions","body":{}}`, "missing_required_parameter", "method", "'method'"},
		{`{"custom_id":"get","method":"GET","url":"/v1/chat/completions","body":{}}`, "invalid_value", "method", "'GET'"},
		{`{"custom_id":"no-url","method":"POST","body":{}}`, "missing_required_parameter", "url", "'url'"},
		{`{"custom_id":"other-url","method":"POST","url":"/v1/embeddings","body":{}}`, "invalid_url", "url", "does not match the batch endpoint"},
		{`{"custom_id":"no-body","method":"POST","url":"/v1/chat/completions"}`, "missing_required_parameter", "body", "'body'"},
		{`{"custom_id":"text-body","method":"POST","url":"/v1/chat/completions","body":"x"}`, "invalid_type", "body", "expected an object"},
		{`{"custom_id":"no-model","method":"POST","url":"/v1/chat/completions","body":{"messages":[{}]}}`, "invalid_request", "body.model", "Model parameter is required."},
		{`{"custom_id":"no-messages","method":"POST","url":"/v1/chat/completions","body":{"model":"m"}}`, "invalid_request", "body.messages", "Messages parameter is required."},
		{`{"custom_id":"stream",` + good + `,"stream":true}}`, "streaming_unsupported", "body.stream", "Streaming is not supported"},
		{`{"custom_id":"good",` + good + `}}`, "duplicate_custom_id", "custom_id", "already used by the request on line 1"},
		{`{"custom_id":"g\u006fod",` + good + `}}`, "duplicate_custom_id", "custom_id", "already used by the request on line 1"},
		{"{\"custom_id\":\"latin-\xe9\"," + good + `}}`, "invalid_json_line", "", "not parseable"},
	}
}

func TestEachBadLineIsReportedWithItsNumberAndNothingIsCalled(t *testing.T) {
	t.Parallel()
	s := alone(t)
	good := `{"custom_id":"good","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[{"role":"user","content":"Hi"}]}}`
	input := good + "\n\n" // a blank line is none, and counts
	var want []any
	for i, bad := range badLines() {
		input += bad.text + "\n"
		want = append(want, map[string]any{
			"code": bad.code, "param": orNil(bad.param), "line": json.Number(fmt.Sprint(i + 3)),
		})
	}
	b := s.process(t, input)
	require.Equal(t, "failed", b["status"])
	require.NotNil(t, b["failed_at"])
	require.Nil(t, b["in_progress_at"])
	require.Nil(t, b["output_file_id"])
	require.Nil(t, b["error_file_id"])
	require.Equal(t, map[string]int64{"total": 0, "completed": 0, "failed": 0}, counts(t, b))
	errs := b["errors"].(map[string]any)
	require.Equal(t, "list", errs["object"])
	data := errs["data"].([]any)
	for i, bad := range badLines() {
		e := data[i].(map[string]any)
		require.Contains(t, e["message"], bad.message, bad.text)
		delete(e, "message")
	}
	require.Equal(t, want, data)
	require.Zero(t, s.upstream.Stats().Calls)
}

func TestAThousandBadLinesAreReportedAndTheRestCounted(t *testing.T) {
	t.Parallel()
	b := shared(t).process(t, strings.Repeat("nonsense\n", 1234))
	require.Equal(t, "failed", b["status"])
	require.Len(t, b["errors"].(map[string]any)["data"], 1000)
	require.Equal(t, json.Number("1234"), b["headrace"].(map[string]any)["problem_count"])
}

func TestAFileWithoutARequestFailsAsAWhole(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for name, input := range map[string]string{"empty": "", "blank lines": "\n \r\n\n", "byte order mark": "\uFEFF"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := s.process(t, input)
			require.Equal(t, "failed", b["status"])
			data := b["errors"].(map[string]any)["data"].([]any)
			require.Len(t, data, 1)
			e := data[0].(map[string]any)
			require.Equal(t, "empty_file", e["code"])
			require.Nil(t, e["line"])
		})
	}
}

func TestABatchOfAFileThatDoesNotExistFails(t *testing.T) {
	t.Parallel()
	s := shared(t)
	b := s.until(t, s.create(t, unknownFile, ""), "failed")
	data := b["errors"].(map[string]any)["data"].([]any)
	require.Equal(t, []any{map[string]any{
		"code": "invalid_request", "param": "file_id", "line": nil,
		"message": "Cannot find file " + unknownFile + ", or organization does not have access to it.",
	}}, data)
}
