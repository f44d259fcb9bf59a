package provider_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	goopenai "github.com/sashabaranov/go-openai"
	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/llm/provider"
	"github.com/headrace/headrace/internal/openai"
)

// benchAtOnce is how many calls a benchmark keeps in flight on each processor.
const benchAtOnce = 32

// benchAnswer is an answer of the usual size.
var benchAnswer = []byte(`{"id":"chatcmpl-1","object":"chat.completion","created":1767225600,"model":"gpt-4o-mini","choices":[{"index":0,` +
	`"message":{"role":"assistant","content":"` + string(bytes.Repeat([]byte("water "), 60)) + `","refusal":null,"annotations":[]},` +
	`"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":90,"total_tokens":109,` +
	`"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}},"service_tier":"default"}`)

// BenchmarkCall compares Provider.Call with what one would write without it,
// against a server in the same process that reads the body and writes constant
// bytes: the time of a call includes the server's.
func BenchmarkCall(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(benchAnswer)
	}))
	b.Cleanup(server.Close)
	request := goopenai.ChatCompletionRequest{
		Model: "gpt-4o-mini",
		Messages: []goopenai.ChatCompletionMessage{
			{Role: goopenai.ChatMessageRoleSystem, Content: "You are terse."},
			{Role: goopenai.ChatMessageRoleUser, Content: string(bytes.Repeat([]byte("What is a headrace? "), 20))},
		},
	}
	body, err := json.Marshal(request)
	require.NoError(b, err)

	b.Run("net_http", func(b *testing.B) {
		c := benchClient(b)
		inParallel(b, func(ctx context.Context) error { return post(ctx, c, server.URL, body) })
	})
	b.Run("go_openai", func(b *testing.B) {
		config := goopenai.DefaultConfig("")
		config.BaseURL, config.HTTPClient = server.URL, benchClient(b)
		c := goopenai.NewClientWithConfig(config)
		inParallel(b, func(ctx context.Context) error {
			_, err := c.CreateChatCompletion(ctx, request)
			return err
		})
	})
	b.Run("Provider", func(b *testing.B) {
		p := newProvider(b, provider.Config{BaseURL: server.URL})
		inParallel(b, func(ctx context.Context) error {
			_, err := p.Call(ctx, llm.Request{Endpoint: openai.ChatCompletions, Model: request.Model, Body: body, Timeout: time.Minute})
			return err
		})
	})
}

func benchClient(b *testing.B) *http.Client {
	b.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 1000}
	b.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func inParallel(b *testing.B, call func(context.Context) error) {
	b.Helper()
	b.ReportAllocs()
	b.SetParallelism(benchAtOnce)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := call(b.Context()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func post(ctx context.Context, c *http.Client, url string, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := c.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", res.StatusCode, answer)
	}
	return err
}
