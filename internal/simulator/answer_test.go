package simulator_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
)

func TestAnswerTellsWhatACallGets(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{Seed: 3})
	body := []byte(`{"model":"m","messages":[{"role":"user","content":"q"}],"input":["q","r"],"prompt":["q",[1,2]],"n":2}`)
	for _, e := range openai.Endpoints() {
		if e == openai.Responses {
			continue // takes no list of strings
		}
		want, err := run.Answer(e, body)
		require.NoError(t, err, e)
		require.True(t, json.Valid(want), e)
		require.Equal(t, string(want), string(call(t, run, http.MethodPost, string(e), string(body)).body), e)
		require.Equal(t, string(want), string(call(t, run, http.MethodPost, string(e), string(body)).body), "%s, again", e)
	}
	other := newSimulator(t, simulator.Options{Seed: 4})
	first, err := run.Answer(openai.Embeddings, body)
	require.NoError(t, err)
	second, err := other.Answer(openai.Embeddings, body)
	require.NoError(t, err)
	require.NotEqual(t, string(first), string(second), "another seed, another vector")

	_, err = run.Answer("/v1/nothing", body)
	require.ErrorContains(t, err, "Invalid URL")
	_, err = run.Answer(openai.ChatCompletions, nil)
	require.ErrorContains(t, err, "not valid JSON")
}

func TestALimitIsUsedUpToTheLastToken(t *testing.T) {
	t.Parallel()
	s := newSimulator(t, simulator.Options{})
	for limit, want := range map[string]struct {
		text   string
		reason string
	}{
		`1`:    {"Echo", "length"},
		`2`:    {"Echo: w", "length"}, // the eighth and ninth byte are one character
		`3`:    {"Echo: wörld", "stop"},
		`4`:    {"Echo: wörld The", "stop"},
		`null`: {"Echo: wörld", "stop"},
	} {
		body := `{"model":"m","max_tokens":` + limit + `,"messages":[{"role":"user","content":"wörld"}]}`
		got, err := s.Answer(openai.ChatCompletions, []byte(body))
		require.NoError(t, err)
		var answer struct {
			Choices []struct {
				Message struct {
					Content string `json:"content"`
				} `json:"message"`
				Reason string `json:"finish_reason"`
			} `json:"choices"`
		}
		require.NoError(t, json.Unmarshal(got, &answer))
		require.Equal(t, want.text, answer.Choices[0].Message.Content, limit)
		require.Equal(t, want.reason, answer.Choices[0].Reason, limit)
	}
}

func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		`{"model":"m","messages":[{"role":"user","content":"hi"}]}`,
		`{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":[{"text":"a"}]}],"n":2}`,
		`{"model":"m","input":[[1,2],"x"],"dimensions":3,"encoding_format":"base64"}`,
		`{"model":"m","input":"\ud800\u0000é","metadata":{"a" : 1},"max_output_tokens":3}`,
		`{"model":"m","prompt":["a",[1]],"max_tokens":7}`,
		"{\"model\":\"\xff\",\"input\":[{\"type\":\"text\",\"text\":\"sim:flag\"}],\"user\":\"\xfe\"}",
	} {
		for i := range openai.Endpoints() {
			f.Add(i, []byte(body))
		}
	}
	s, err := simulator.New(simulator.Options{})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, endpoint int, body []byte) {
		all := openai.Endpoints()
		got, err := s.Answer(all[uint(endpoint)%uint(len(all))], body)
		if err != nil {
			var e *openai.Error
			require.ErrorAs(t, err, &e)
			require.Contains(t, []int{http.StatusBadRequest, http.StatusNotFound}, e.Status)
			return
		}
		if json.Valid(got) {
			return
		}
		for event := range strings.SplitSeq(strings.TrimSuffix(string(got), "\n\n"), "\n\n") {
			_, data, found := strings.Cut(event, "data: ")
			require.True(t, found, "event %q", event)
			require.True(t, data == "[DONE]" || json.Valid([]byte(data)), "event %q", event)
		}
	})
}
