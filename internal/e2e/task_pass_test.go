package e2e_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	goopenai "github.com/sashabaranov/go-openai"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/openai"
)

func TestGoOpenAIMakesDurableCalls(t *testing.T) {
	t.Parallel()
	c, ctx := shared(t).goOpenAI(), t.Context()
	chat, err := c.CreateChatCompletion(ctx, goopenai.ChatCompletionRequest{
		Model: "gpt-4o-mini", Messages: []goopenai.ChatCompletionMessage{{Role: "user", Content: "Durable"}},
	})
	require.NoError(t, err)
	require.Equal(t, "Echo: Durable", chat.Choices[0].Message.Content)
	require.NotEmpty(t, chat.Header().Get("X-Headrace-Task"))
	embeddings, err := c.CreateEmbeddings(ctx, goopenai.EmbeddingRequest{Model: "text-embedding-3-small", Input: []string{"a", "b"}})
	require.NoError(t, err)
	require.Len(t, embeddings.Data, 2)
	moderation, err := c.Moderations(ctx, goopenai.ModerationRequest{Input: "peace"})
	require.NoError(t, err)
	require.Len(t, moderation.Results, 1)

	_, err = c.CreateChatCompletion(ctx, goopenai.ChatCompletionRequest{
		Model: "gpt-4o-mini", User: "sim:status=400", Messages: []goopenai.ChatCompletionMessage{{Role: "user", Content: "Refused"}},
	})
	var refused *goopenai.APIError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 400, refused.HTTPStatusCode)
	require.NotEmpty(t, refused.Message)
}

func TestGoOpenAIStreams(t *testing.T) {
	t.Parallel()
	stream, err := shared(t).goOpenAI().CreateChatCompletionStream(t.Context(), goopenai.ChatCompletionRequest{
		Model: "gpt-4o-mini", Messages: []goopenai.ChatCompletionMessage{{Role: "user", Content: "Streamed by go-openai"}},
	})
	require.NoError(t, err)
	defer func() { _ = stream.Close() }()
	text := ""
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		for _, choice := range part.Choices {
			text += choice.Delta.Content
		}
	}
	require.Equal(t, "Echo: Streamed by go-openai", text)
}

// question asks the official SDK for a chat completion.
func question(text string) sdk.ChatCompletionNewParams {
	return sdk.ChatCompletionNewParams{
		Model: "gpt-4o-mini", Messages: []sdk.ChatCompletionMessageParamUnion{sdk.UserMessage(text)},
	}
}

func TestTheOfficialSDKMakesDurableCalls(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c, ctx := s.official(), t.Context()
	var raw *http.Response
	chat, err := c.Chat.Completions.New(ctx, question("Durable, officially"), option.WithResponseInto(&raw),
		option.WithJSONSet("headrace", map[string]any{"max_attempts": 3}))
	require.NoError(t, err)
	require.Equal(t, "Echo: Durable, officially", chat.Choices[0].Message.Content)
	o := s.task(t, raw.Header.Get("X-Headrace-Task"))
	require.Equal(t, "completed", o.Get("status").Str)
	require.EqualValues(t, 3, o.Get("max_attempts").Int())
	require.Equal(t, chat.RawJSON(), o.Get("result.body").Raw)

	_, err = c.Chat.Completions.New(ctx, question("Refused, officially"), option.WithJSONSet("user", "sim:status=422"))
	var refused *sdk.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 422, refused.StatusCode)
}

func TestTheOfficialSDKStreams(t *testing.T) {
	t.Parallel()
	c := shared(t).official()
	stream := c.Chat.Completions.NewStreaming(t.Context(), question("Streamed officially"))
	text := ""
	for stream.Next() {
		for _, choice := range stream.Current().Choices {
			text += choice.Delta.Content
		}
	}
	require.NoError(t, stream.Err())
	require.Equal(t, "Echo: Streamed officially", text)
}

func TestEveryEndpointPassesThrough(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for endpoint, body := range map[openai.Endpoint]string{
		openai.ChatCompletions: chatBody("Passes through", ""),
		openai.Completions:     `{"model":"m","prompt":"Passes through"}`,
		openai.Embeddings:      `{"model":"m","input":["Passes through","two"]}`,
		openai.Moderations:     `{"input":"Passes through"}`,
	} {
		r := s.send(t, http.MethodPost, string(endpoint), body, "Content-Type: application/json")
		require.Equal(t, http.StatusOK, r.status, "%s", r.body)
		want, err := s.upstream.Answer(endpoint, []byte(body))
		require.NoError(t, err)
		require.Equal(t, string(want), string(r.body))
		require.Equal(t, "application/json", r.header.Get("Content-Type"))
		require.Equal(t, "completed", s.task(t, r.header.Get("X-Headrace-Task")).Get("status").Str)
	}
}

func TestAPassThroughCallIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := shared(t)
	body := directed(fmt.Sprintf("Fails once from %d on", time.Now().UnixNano()), "status=503;fail=1")
	r := s.send(t, http.MethodPost, "/v1/chat/completions", body)
	require.Equal(t, http.StatusOK, r.status, "%s", r.body)
	require.Equal(t, 2, s.upstream.Calls([]byte(body)))
}

func TestAProvidersRefusalPassesThrough(t *testing.T) {
	t.Parallel()
	s := shared(t)
	r := s.send(t, http.MethodPost, "/v1/chat/completions", directed("Passes as it is", "status=404;code=model_not_found"))
	require.Equal(t, http.StatusNotFound, r.status)
	require.Equal(t, "model_not_found", gjson.GetBytes(r.body, "error.code").Str)
	o := s.task(t, r.header.Get("X-Headrace-Task"))
	require.Equal(t, "failed", o.Get("status").Str)
	require.Equal(t, gjson.ParseBytes(r.body).Raw, o.Get("result.body").Raw)
}

func TestACallCanBeAskedForAsATask(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, prefer := range []string{"respond-async", "respond-async, wait=1", "handling=lenient, respond-async"} {
		body := directed("Answered later: "+prefer, "latency=1s")
		r := s.send(t, http.MethodPost, "/v1/chat/completions", body, "Prefer: "+prefer)
		require.Equal(t, http.StatusAccepted, r.status, "%s", r.body)
		o := gjson.ParseBytes(r.body)
		id := o.Get("id").Str
		require.Equal(t, "task", o.Get("object").Str)
		require.Equal(t, "/v1/tasks/"+id, r.header.Get("Location"))
		require.Equal(t, "respond-async", r.header.Get("Preference-Applied"))
		require.Equal(t, id, r.header.Get("X-Headrace-Task"))
		want, err := s.upstream.Answer(openai.ChatCompletions, []byte(body))
		require.NoError(t, err)
		require.Equal(t, string(want), s.completed(t, id).Get("result.body").Raw)
	}
}
