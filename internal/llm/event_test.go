package llm_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/openai"
)

func TestAnEventTellsWhatTheCallHasCostSoFar(t *testing.T) {
	t.Parallel()
	chat, responses := cost(19, 8, 10, 7, 29), cost(36, 5, 87, 64, 123)
	for data, want := range map[string]*openai.Usage{
		`{"choices":[],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":8},
			"completion_tokens_details":{"reasoning_tokens":7}}}`: &chat,
		`{"type":"response.completed","response":{"status":"completed","usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":5},
			"output_tokens":87,"output_tokens_details":{"reasoning_tokens":64},"total_tokens":123}}}`: &responses,
		`{"choices":[{"delta":{"content":"x","usage":{"prompt_tokens":1}}}],"usage":null}`: nil,
		`{"type":"response.created","response":{"usage":null}}`:                            nil,
		`{"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}`:             {},
		`{"usage":{}}`:   nil,
		`{"response":1}`: nil,
		`[DONE]`:         nil,
		``:               nil,
	} {
		require.Equal(t, want, llm.EventOf([]byte(data)).Usage, data)
	}
}

func TestAnEventHasTheTypeThatItNames(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`{"type":"response.completed","response":{"type":"x"}}`: "response.completed",
		`{"type":"response\u002ecreated"}`:                      "response.created",
		`{"type":null}`:                                         "",
		`{"type":["a"]}`:                                        "",
		`{"choices":[{"type":"x"}]}`:                            "",
		`{"type":"response.completed","resp`:                    "",
	} {
		require.Equal(t, want, llm.EventOf([]byte(data)).Type, data)
	}
}

func TestAnEventSaysThatTheProviderHasGivenUp(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]llm.Event{
		`{"error":{"message":"overloaded","type":"server_error","param":null,"code":"busy"}}`:           {Code: "busy", Message: "overloaded"},
		`{"error":{"message":"overloaded","code":null}}`:                                                {Message: "overloaded"},
		`{"error":{"message":"overloaded","code":502},"choices":[{"finish_reason":"error"}]}`:           {Code: "502", Message: "overloaded"},
		`{"error":"model is loading"}`:                                                                  {Message: "model is loading"},
		`{"error":{}}`:                                                                                  {},
		`{"type":"error","code":"server_error","message":"sorry","param":null,"sequence_number":3}`:     {Type: "error", Code: "server_error", Message: "sorry"},
		`{"type":"error","error":{"type":"server_error","code":"busy","message":"sorry","param":null}}`: {Type: "error", Code: "busy", Message: "sorry"},
		`{"type":"error","code":"a","message":"b","error":{"message":"sorry"}}`:                         {Type: "error", Code: "a", Message: "sorry"},
		`{"type":"error"}`: {Type: "error"},
	} {
		want.Failed = true
		require.Equal(t, want, llm.EventOf([]byte(data)), data)
	}
	for _, data := range []string{
		`{"error":null}`, `{"error":false}`, `{"error":""}`, `{"error":[]}`, `{"response":{"error":{"message":"x"}}}`, `{"code":"x","message":"y"}`,
		`{"type":"response.failed","response":{"error":{"code":"x"}}}`, `{"choices":[{"error":{"message":"x"}}]}`, `"error"`, `{"error":{"message"`,
	} {
		require.False(t, llm.EventOf([]byte(data)).Failed, data)
	}
}

func TestTheUsageOfAnEventIsThatOfAnAnswer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		counts := rapid.MapOfN(rapid.SampledFrom([]string{"prompt_tokens", "output_tokens", "total_tokens"}), rapid.Int64(), 1, 3).Draw(t, "usage")
		body, err := json.Marshal(map[string]any{"usage": counts})
		require.NoError(t, err)
		want, _ := llm.UsageOf(body)
		require.Equal(t, &want, llm.EventOf(body).Usage)
	})
}
