package simulator_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
)

func TestAChatCompletionHasTheShapeOfTheRealOne(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{})
	body := `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hello\n\"you\""}]}`
	a := chat(t, run, body)
	require.Equal(t, http.StatusOK, a.status)
	fingerprint := simulator.Fingerprint([]byte(body))
	var got struct {
		ID string `json:"id"`
	}
	require.NoError(t, json.Unmarshal(a.body, &got))
	require.Regexp(t, `^chatcmpl-[0-9a-f]{16}`+fingerprint+`$`, got.ID)
	require.JSONEq(t, `{
		"id": "`+got.ID+`", "object": "chat.completion", "created": 1767225600, "model": "gpt-4o-mini",
		"service_tier": "default", "system_fingerprint": "fp_`+fingerprint+`",
		"choices": [{
			"index": 0,
			"message": {"role": "assistant", "content": "Echo: Hello\n\"you\"", "refusal": null, "annotations": []},
			"logprobs": null, "finish_reason": "stop"
		}],
		"usage": {
			"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8,
			"prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
			"completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0,
				"accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}
		}
	}`, string(a.body))
	require.Equal(t, "application/json", a.header.Get("Content-Type"))
	require.Equal(t, "2020-10-01", a.header.Get("Openai-Version"))
	require.Regexp(t, `^\d+$`, a.header.Get("Openai-Processing-Ms"))
	require.NotEqual(t, a.header.Get("X-Request-Id"), chat(t, run, body).header.Get("X-Request-Id"))
}

func TestAResponseStreamNamesItsEventsAndNeverBreaksALine(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{})
	body := "{\"model\":\"m\",\"stream\":true,\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"a\\nb\"}," +
		"{\"type\":\"input_image\",\"image_url\":\"http://x\"}]},{\"type\":\"function_call_output\",\"output\":\"y\"}],\n" +
		"\"metadata\":{\n  \"a\": \"b\"\n}}"
	a := call(t, run, http.MethodPost, "/v1/responses", body)
	require.Equal(t, "text/event-stream; charset=utf-8", a.header.Get("Content-Type"))
	events := strings.Split(strings.TrimSuffix(string(a.body), "\n\n"), "\n\n")
	form := regexp.MustCompile(`^event: (\S+)\ndata: (\{.*\})$`)
	for i, event := range events {
		parts := form.FindStringSubmatch(event)
		require.Len(t, parts, 3, "event %q", event)
		var data struct {
			Type string `json:"type"`
			Seq  *int   `json:"sequence_number"`
		}
		require.NoError(t, json.Unmarshal([]byte(parts[2]), &data))
		require.Equal(t, parts[1], data.Type)
		require.Equal(t, i, *data.Seq)
	}
	require.Contains(t, events[len(events)-1], `"text":"Echo: a\nb"`)
	require.Contains(t, events[len(events)-1], `"metadata":{"a":"b"}`)
}

func TestAChatStreamEndsWithDone(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{})
	body := `{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}`
	a := chat(t, run, body)
	require.True(t, strings.HasSuffix(string(a.body), "}\n\ndata: [DONE]\n\n"))
	require.NotContains(t, string(a.body), `"usage"`)
	want, err := run.Answer(openai.ChatCompletions, []byte(body))
	require.NoError(t, err)
	require.Equal(t, string(want), string(a.body))
}

func TestAnInvalidRequestIsRefusedInOpenAIsForm(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{Models: []string{"m", "omni-moderation-latest"}})
	for _, c := range []struct{ path, body, param, code, message string }{
		{"chat/completions", ``, "", "", "could not parse the JSON body"},
		{"chat/completions", `{"model":"m"`, "", "", "could not parse the JSON body"},
		{"chat/completions", `[]`, "", "", "expected an object, but got an array"},
		{"chat/completions", `{}`, "", "", "you must provide a model parameter"},
		{"chat/completions", `{"model":""}`, "", "", "you must provide a model parameter"},
		{"chat/completions", `{"model":7}`, "model", "invalid_type", "expected a string, but got a number"},
		{"chat/completions", `{"model":"m"}`, "messages", "missing_required_parameter", "Missing required parameter: 'messages'."},
		{"chat/completions", `{"model":"m","messages":"x"}`, "messages", "invalid_type", "expected an array of objects, but got a string"},
		{"chat/completions", `{"model":"m","messages":[]}`, "messages", "empty_array", "empty array"},
		{"chat/completions", `{"model":"m","messages":[1]}`, "messages", "invalid_type", "expected an object, but got a number"},
		{"chat/completions", `{"model":"m","messages":[{"content":"x"}]}`, "messages.role", "missing_required_parameter", "messages.role"},
		{"chat/completions", `{"model":"m","messages":[{"role":"user","content":7}]}`, "messages.content", "invalid_type", "a number"},
		{"chat/completions", `{"model":"m","stream":"yes","messages":[]}`, "stream", "invalid_type", "expected a boolean, but got a string"},
		{"chat/completions", `{"model":"m","n":0,"messages":[{"role":"user"}]}`, "n", "integer_below_min_value", "but got 0"},
		{"chat/completions", `{"model":"m","n":129,"messages":[{"role":"user"}]}`, "n", "integer_above_max_value", "but got 129"},
		{"chat/completions", `{"model":"m","max_tokens":1.5,"messages":[{"role":"user"}]}`, "max_tokens", "invalid_type", "an integer"},
		{"chat/completions", `{"model":"m","max_completion_tokens":1e9,"messages":[{"role":"user"}]}`, "max_completion_tokens",
			"integer_above_max_value", "but got 1000000000"},
		{"chat/completions", `{"model":"m","n":9,"max_tokens":999999,"messages":[{"role":"user"}]}`, "max_tokens", "invalid_value", "together"},
		{"completions", `{"model":"m"}`, "prompt", "missing_required_parameter", "prompt"},
		{"completions", `{"model":"m","prompt":[]}`, "prompt", "empty_array", "empty array"},
		{"completions", `{"model":"m","prompt":[true]}`, "prompt", "invalid_type", "a boolean"},
		{"completions", `{"model":"m","prompt":{}}`, "prompt", "invalid_type", "an object"},
		{"embeddings", `{"model":"m","input":""}`, "input", "invalid_value", "empty string"},
		{"embeddings", `{"model":"m","input":[[]]}`, "input", "empty_array", "empty array"},
		{"embeddings", `{"model":"m","input":[1,"x"]}`, "input", "invalid_type", "an integer"},
		{"embeddings", `{"model":"m","input":"x","dimensions":0}`, "dimensions", "integer_below_min_value", "but got 0"},
		{"embeddings", `{"model":"m","input":"x","encoding_format":"hex"}`, "encoding_format", "invalid_value", `"hex"`},
		{"embeddings", `{"model":"m","input":"x","stream":true}`, "stream", "unknown_parameter", "Unknown parameter: 'stream'."},
		{"embeddings", `{"model":"m","input":[` + strings.Repeat(`"x",`, 2048) + `"x"]}`, "input", "array_above_max_length", "length 2049"},
		{"moderations", `{}`, "input", "missing_required_parameter", "input"},
		{"responses", `{"model":"m"}`, "input", "missing_required_parameter", "input"},
		{"responses", `{"model":"m","input":[]}`, "input", "empty_array", "empty array"},
		{"responses", `{"model":"m","input":7}`, "input", "invalid_type", "a number"},
		{"responses", `{"model":"m","input":["x"]}`, "input", "invalid_type", "a string"},
		{"responses", `{"model":"m","input":"x","instructions":7}`, "instructions", "invalid_type", "a number"},
	} {
		a := call(t, run, http.MethodPost, "/v1/"+c.path, c.body)
		require.Equal(t, http.StatusBadRequest, a.status, c.body)
		e := envelope(t, a)
		require.Equal(t, "invalid_request_error", e.Type, c.body)
		require.Contains(t, e.Message, c.message, c.body)
		require.Equal(t, c.param, text(e.Param), c.body)
		require.Equal(t, c.code, text(e.Code), c.body)
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func TestOnlyTheModelsOfTheOptionsAreServed(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{Models: []string{"one", `t"wo`}})
	a := chat(t, run, `{"model":"three","messages":[{"role":"user","content":"x"}]}`)
	require.Equal(t, http.StatusNotFound, a.status)
	require.Equal(t, "model_not_found", text(envelope(t, a).Code))
	require.Equal(t, http.StatusNotFound, call(t, run, http.MethodGet, "/v1/models/three", "").status)

	require.JSONEq(t, `{"object":"list","data":[
		{"id":"one","object":"model","created":1767225600,"owned_by":"simulator"},
		{"id":"t\"wo","object":"model","created":1767225600,"owned_by":"simulator"}]}`,
		string(call(t, run, http.MethodGet, "/v1/models", "").body))
	require.JSONEq(t, `{"id":"one","object":"model","created":1767225600,"owned_by":"simulator"}`,
		string(call(t, run, http.MethodGet, "/v1/models/one", "").body))
}

func TestWrongPathsAndMethodsAreToldApart(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{})
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{http.MethodGet, "/v1/chat/completions", 405, "POST"},
		{http.MethodDelete, "/v1/responses", 405, "POST"},
		{http.MethodPost, "/v1/models", 405, "GET"},
		{http.MethodPut, "/stats", 405, "GET, DELETE"},
		{http.MethodGet, "/stats/reset", 405, "POST"},
		{http.MethodDelete, "/control", 405, "GET, POST"},
		{http.MethodPost, "/v1/nothing", 404, ""},
		{http.MethodGet, "/", 404, ""},
	} {
		a := call(t, run, c.method, c.path, "")
		require.Equal(t, c.status, a.status, "%s %s", c.method, c.path)
		require.Equal(t, c.allow, a.header.Get("Allow"), "%s %s", c.method, c.path)
		require.Equal(t, "invalid_request_error", envelope(t, a).Type)
	}
	require.Equal(t, int64(5), run.Stats().OtherRequests)
	require.Zero(t, run.Stats().Calls)
}

func TestAKeyIsAskedForWhereOneIsSet(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{APIKey: "sk-test"})
	_, err := goClient(t, run).CreateChatCompletion(t.Context(), chatRequest("q"))
	require.NoError(t, err)
	a := chat(t, run, question("q", ""))
	require.Equal(t, http.StatusUnauthorized, a.status)
	require.Contains(t, envelope(t, a).Message, "You didn't provide an API key")
	require.Equal(t, http.StatusUnauthorized, call(t, run, http.MethodGet, "/v1/models", "").status)

	require.NoError(t, run.Set(simulator.Options{APIKey: "sk-other"}))
	_, err = goClient(t, run).CreateChatCompletion(t.Context(), chatRequest("q"))
	require.ErrorContains(t, err, "Incorrect API key provided")
}

func TestABodyThatIsTooLargeIsNotRead(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{})
	large := strings.Repeat(" ", 64<<20) + question("q", "")
	// The server may close the connection while the client still writes.
	if a, err := attempt(t, run, large); err == nil {
		require.Equal(t, http.StatusRequestEntityTooLarge, a.status)
	}
	require.Equal(t, int64(1), run.Stats().ByStatus["413"])
}
