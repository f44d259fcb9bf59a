package llm_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/openai"
)

// cost makes a Usage of input, cached, output, reasoning and total tokens.
func cost(input, cached, output, reasoning, total int64) openai.Usage {
	return openai.Usage{
		InputTokens: input, InputTokensDetails: openai.InputTokensDetails{CachedTokens: cached},
		OutputTokens: output, OutputTokensDetails: openai.OutputTokensDetails{ReasoningTokens: reasoning}, TotalTokens: total,
	}
}

func TestUsageIsReadFromTheAnswersOfAllEndpoints(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		want openai.Usage
	}{
		"chat": {`{"id":"chatcmpl-1","choices":[{"message":{"usage":{"prompt_tokens":99}}}],"usage":{"prompt_tokens":19,"completion_tokens":10,
			"total_tokens":29,"prompt_tokens_details":{"cached_tokens":8,"audio_tokens":1},
			"completion_tokens_details":{"reasoning_tokens":7,"accepted_prediction_tokens":0}},"service_tier":"default"}`, cost(19, 8, 10, 7, 29)},
		"responses": {`{"object":"response","usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":5},"output_tokens":87,
			"output_tokens_details":{"reasoning_tokens":64},"total_tokens":123}}`, cost(36, 5, 87, 64, 123)},
		"completions": {`{"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}`, cost(5, 0, 7, 0, 12)},
		"embeddings":  {`{"object":"list","data":[{"embedding":[0.1,-2e-3]}],"usage":{"prompt_tokens":8,"total_tokens":8}}`, cost(8, 0, 0, 0, 8)},
		"moderations": {`{"id":"modr-1","results":[{"flagged":false}]}`, cost(0, 0, 0, 0, 0)},
		"pretty":      {"{\n  \"usage\" : {\n    \"prompt_tokens\" :\t5 ,\r\n    \"total_tokens\": 5\n  }\n}\n", cost(5, 0, 0, 0, 5)},
		"escaped":     {`{"\u0075sage":{"prompt\u005ftokens":5}}`, cost(5, 0, 0, 0, 0)},
		"large":       {`{"usage":{"total_tokens":9223372036854775807}}`, cost(0, 0, 0, 0, 9223372036854775807)},
	} {
		usage, valid := llm.UsageOf([]byte(c.body))
		require.True(t, valid, name)
		require.Equal(t, c.want, usage, name)
	}
}

func TestWhatIsNoCountCostsNothing(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{}`, `[]`, `null`, `"usage"`, `0`, `{"usage":null}`, `{"usage":[{"prompt_tokens":5}]}`, `{"usage":5}`, `{"usage":"5"}`, `{"Usage":{"prompt_tokens":5}}`,
		`{"usage":{"prompt_tokens":"5"}}`, `{"usage":{"prompt_tokens":null}}`, `{"usage":{"prompt_tokens":5.5}}`, `{"usage":{"prompt_tokens":true}}`,
		`{"usage":{"prompt_tokens":[5]}}`, `{"usage":{"prompt_tokens":{"total_tokens":5}}}`, `{"usage":{"prompt_tokens":-5}}`,
		`{"usage":{"prompt_tokens":9223372036854775808}}`, `{"usage":{"prompt_tokens_details":5,"completion_tokens_details":[7]}}`,
		`{"usage":{"prompt_tokens_details":{"reasoning_tokens":5},"completion_tokens_details":{"cached_tokens":5}}}`,
		`{"usage":{"cached_tokens":5,"reasoning_tokens":5}}`, `{"data":{"usage":{"prompt_tokens":5}}}`, `[{"usage":{"prompt_tokens":5}}]`,
	} {
		usage, valid := llm.UsageOf([]byte(body))
		require.True(t, valid, body)
		require.Zero(t, usage, body)
	}
}

func TestWhatIsNoJSONIsNoAnswer(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		"", " ", "OK", "<html></html>", `{"usage":{"prompt_tokens":5}`, `{"usage":{"prompt_tokens":5}}}`, `{"usage":{"prompt_tokens":05}}`, `{} {}`,
		"{\"a\":\"\xff\"}", "{\"a\":\"\n\"}", `data: {}`, `{'a':1}`, "\ufeff{}",
	} {
		_, valid := llm.UsageOf([]byte(body))
		require.False(t, valid, "%q", body)
	}
}

func TestUsageAgreesWithEncodingJSONOnAnyObject(t *testing.T) {
	t.Parallel()
	names := []string{
		"usage", "prompt_tokens", "input_tokens", "completion_tokens", "output_tokens", "total_tokens", "prompt_tokens_details", "input_tokens_details",
		"completion_tokens_details", "output_tokens_details", "cached_tokens", "reasoning_tokens", "other",
	}
	scalar := rapid.OneOf(rapid.Int64().AsAny(), rapid.Float64Range(-1e6, 1e6).AsAny(), rapid.String().AsAny(), rapid.Bool().AsAny(), rapid.Just(any(nil)))
	value := scalar
	for range 4 {
		value = rapid.OneOf(scalar, rapid.MapOfN(rapid.SampledFrom(names), value, 0, 6).AsAny(), rapid.SliceOfN(value, 0, 2).AsAny())
	}
	rapid.Check(t, func(t *rapid.T) {
		body, err := json.Marshal(map[string]any{"usage": value.Draw(t, "usage"), "other": value.Draw(t, "other")})
		require.NoError(t, err)
		requireSameUsage(t, body)
	})
}

// FuzzUsageOf compares with encoding/json on anything.
func FuzzUsageOf(f *testing.F) {
	f.Add([]byte(`{"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"completion_tokens_details":{"reasoning_tokens":7}}}`))
	f.Add([]byte(`{"usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":5},"output_tokens":87}}`))
	f.Add([]byte(`{"usage":{"prompt_tokens":1},"usage":{"prompt_tokens":"x","completion_tokens":2}}`))
	f.Add([]byte(`{"usage":{"prompt_tokens":1},"usage":null}`))
	f.Add([]byte(`{"usage":{"total_tokens":-1,"prompt_tokens":1e3,"input_tokens":01}}`))
	f.Add([]byte(`["usage",{"usage":{"total_tokens":1}}]`))
	f.Add([]byte("{\"usage\":{\"total_tokens\":1},\"\xff\":1}"))
	f.Fuzz(func(t *testing.T, body []byte) { requireSameUsage(t, body) })
}

func requireSameUsage(t require.TestingT, body []byte) {
	usage, valid := llm.UsageOf(body)
	require.Equal(t, json.Valid(body) && utf8.Valid(body), valid, "%q", body)
	if valid {
		require.Equal(t, slowUsageOf(body), usage, "%q", body)
	}
}

// slowUsageOf is UsageOf of a valid text by means of encoding/json. Of a count
// that is repeated, the last one stands.
func slowUsageOf(body []byte) openai.Usage {
	var u openai.Usage
	members(body, func(name string, value json.RawMessage) {
		if name != "usage" {
			return
		}
		members(value, func(name string, value json.RawMessage) {
			switch name {
			case "prompt_tokens", "input_tokens":
				u.InputTokens = count(value)
			case "completion_tokens", "output_tokens":
				u.OutputTokens = count(value)
			case "total_tokens":
				u.TotalTokens = count(value)
			case "prompt_tokens_details", "input_tokens_details":
				countMember(value, "cached_tokens", &u.InputTokensDetails.CachedTokens)
			case "completion_tokens_details", "output_tokens_details":
				countMember(value, "reasoning_tokens", &u.OutputTokensDetails.ReasoningTokens)
			}
		})
	})
	return u
}

// members yields the members of an object in order, none of what is no object.
func members(text []byte, yield func(name string, value json.RawMessage)) {
	d := json.NewDecoder(bytes.NewReader(text))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil && err != io.EOF {
			return
		}
		yield(name.(string), value)
	}
}

func countMember(text []byte, wanted string, n *int64) {
	members(text, func(name string, value json.RawMessage) {
		if name == wanted {
			*n = count(value)
		}
	})
}

func count(raw json.RawMessage) int64 {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
