package provider_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/llm/provider"
	"github.com/headrace/headrace/internal/openai"
)

// oddBodies are what a client that decodes and encodes would change, and what
// it would refuse.
func oddBodies() map[string]string {
	return map[string]string{
		"unknown fields":    `{"model":"m","x_vendor":{"b":1,"a":[null]},"messages":[],"reasoning":{"max_tokens":0}}`,
		"zeros":             `{"model":"m","temperature":0,"top_p":0,"n":0,"seed":0,"logprobs":false,"store":false,"presence_penalty":-0.0}`,
		"a stop string":     `{"model":"m","stop":"END"}`,
		"big integers":      `{"model":"m","seed":12345678901234567890123,"user_id":9007199254740993}`,
		"number spelling":   `{"model":"m","temperature":1.0,"top_p":1e0,"min_p":0.10,"top_k":-0}`,
		"order and spaces":  "\r\n{ \"z\" : 1 ,\t\"model\":\"m\", \"a\":[ 1,2 , 3 ] }\n\n",
		"escapes":           `{"model":"m","user":"\u00e9\ud83d\ude00 é😀 \/ \u003c&> \u2028"}`,
		"repeated members":  `{"model":"m","temperature":1,"temperature":0,"model":"n"}`,
		"empty texts":       `{"model":"m","messages":[{"role":"assistant","content":"","tool_calls":[]},{"role":"user","content":null}]}`,
		"reasoning model":   `{"model":"o1-mini","max_tokens":16,"temperature":0.7,"logprobs":true,"n":3,"messages":[{"role":"system","content":"x"}]}`,
		"newest model":      `{"model":"gpt-5","max_tokens":16,"presence_penalty":1}`,
		"streaming":         `{"model":"m","stream":true}`,
		"a schema":          `{"model":"m","response_format":{"type":"json_schema","json_schema":{"schema":{"$schema":"x","anyOf":[{"type":["string","null"]}]}}}}`,
		"metadata":          `{"model":"m","metadata":{"n":1,"o":{"p":null}}}`,
		"no model":          `{}`,
		"no object":         `[1]`,
		"no JSON":           "not json \x00\xff",
		"nothing":           "",
		"more than buffers": `{"model":"m","input":"` + strings.Repeat("0123456789", 200_000) + `"}`,
	}
}

func TestTheBytesOfARequestArriveAsTheyAre(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, nil)
	p := newProvider(t, provider.Config{BaseURL: u.URL + "/v1"})
	for _, endpoint := range openai.Endpoints() {
		for name, body := range oddBodies() {
			_, err := p.Call(t.Context(), llm.Request{Endpoint: endpoint, Model: "m", Body: []byte(body), Timeout: time.Minute})
			require.NoError(t, err, "%s: %s", endpoint, name)
			got := u.last(t)
			require.Equal(t, http.MethodPost, got.method)
			require.Equal(t, string(endpoint), got.url)
			require.Equal(t, body, string(got.body), "%s: %s", endpoint, name)
		}
	}
}

func TestAnyBytesArriveAsTheyAre(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, nil)
	p := newProvider(t, provider.Config{BaseURL: u.URL})
	rapid.Check(t, func(rt *rapid.T) {
		body := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(rt, "body")
		endpoint := rapid.SampledFrom(openai.Endpoints()).Draw(rt, "endpoint")
		_, err := p.Call(t.Context(), llm.Request{Endpoint: endpoint, Body: body, Timeout: time.Minute})
		require.NoError(rt, err)
		require.Equal(rt, string(body), string(u.last(t).body))
	})
}

// TestNoModelIsRefusedBeforeItIsSent names models that go-openai believes unfit
// for one endpoint or another.
func TestNoModelIsRefusedBeforeItIsSent(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, nil)
	p := newProvider(t, provider.Config{BaseURL: u.URL})
	for _, endpoint := range openai.Endpoints() {
		for _, model := range []string{
			"", "o1", "o1-mini", "o3-mini", "o4-mini", "gpt-5", "gpt-4o", "gpt-3.5-turbo", "text-davinci-003", "davinci-002", "gpt-3.5-turbo-instruct",
			"code-davinci-edit-001", "omni-moderation-latest", "my/own:model?v=1#x",
		} {
			body := `{"model":"` + model + `","max_tokens":1,"temperature":0.5}`
			_, err := p.Call(t.Context(), llm.Request{Endpoint: endpoint, Model: model, Body: []byte(body), Timeout: time.Minute})
			require.NoError(t, err, "%s %s", endpoint, model)
			require.Equal(t, body, string(u.last(t).body))
		}
	}
}

func TestTheBytesOfAnAnswerComeBackAsTheyAre(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"pretty": "{\n  \"id\" : \"chatcmpl-1\",\n\t\"choices\": [ ],\r\n  \"usage\": {\"prompt_tokens\": 3}\n}\n",
		"unknown fields": `{"provider":"x","choices":[{"message":{"reasoning":"r","annotations":[],"citations":[1]},"native_finish_reason":"stop"}],` +
			`"usage":{"prompt_tokens":3,"cost":0.00014}}`,
		"numbers":          `{"seed":12345678901234567890123,"p":1.0,"q":1e0,"r":-0,"usage":{"prompt_tokens":3}}`,
		"order":            `{"usage":{"prompt_tokens":3},"id":"1","created":1,"a":2}`,
		"repeated members": `{"a":1,"a":2,"usage":{"prompt_tokens":3}}`,
		"escapes":          `{"text":"\u00e9é\ud83d\ude00😀\/\u003c<","usage":{"prompt_tokens":3}}`,
		"other types":      `{"id":7,"choices":"none","created":"yesterday","data":{},"usage":{"prompt_tokens":3}}`,
		"spaces around":    " \n {\"usage\":{\"prompt_tokens\":3}} \n\n",
	} {
		u := startUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Request-Id", "req_7")
			_, _ = w.Write([]byte(answer))
		})
		p := newProvider(t, provider.Config{BaseURL: u.URL})
		for _, endpoint := range openai.Endpoints() {
			got, err := p.Call(t.Context(), llm.Request{Endpoint: endpoint, Body: []byte("{}"), Timeout: time.Minute})
			require.NoError(t, err, "%s: %s", endpoint, name)
			require.Equal(t, llm.Response{
				Status: http.StatusOK, RequestID: "req_7", Header: got.Header, Body: []byte(answer), Usage: openai.Usage{InputTokens: 3},
			}, got, "%s: %s", endpoint, name)
		}
	}
}

func TestAnyJSONWithAnyStatusOfSuccessIsAnAnswer(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNonAuthoritativeInfo} {
		for _, answer := range []string{"{}", "[]", "null", "0", `"text"`, "false"} {
			u := startUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				_, _ = w.Write([]byte(answer))
			})
			got, err := chat(t.Context(), newProvider(t, provider.Config{BaseURL: u.URL}), "{}")
			require.NoError(t, err)
			require.Equal(t, llm.Response{Status: status, Header: got.Header, Body: []byte(answer)}, got)
		}
	}
}
