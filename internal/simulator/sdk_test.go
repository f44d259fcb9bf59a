package simulator_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
	goopenai "github.com/sashabaranov/go-openai"
	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/simulator"
)

const prompt = `Say "hi" to 🌊 & <b>`

// goClient returns a go-openai client of a simulator.
func goClient(tb testing.TB, run *simulator.Running) *goopenai.Client {
	tb.Helper()
	config := goopenai.DefaultConfig("sk-test")
	config.BaseURL = run.URL()
	config.HTTPClient = client(tb)
	return goopenai.NewClientWithConfig(config)
}

// officialClient returns an openai-go client of a simulator, without retries.
func officialClient(tb testing.TB, run *simulator.Running) sdk.Client {
	tb.Helper()
	return sdk.NewClient(option.WithBaseURL(run.URL()), option.WithAPIKey("sk-test"),
		option.WithHTTPClient(client(tb)), option.WithMaxRetries(0))
}

func chatRequest(text string) goopenai.ChatCompletionRequest {
	return goopenai.ChatCompletionRequest{
		Model: "gpt-4o-mini",
		Messages: []goopenai.ChatCompletionMessage{
			{Role: "system", Content: "You are terse."},
			{Role: "user", Content: "An earlier question"},
			{Role: "assistant", Content: "An answer"},
			{Role: "user", Content: text},
		},
	}
}

func TestGoOpenAIReadsAChatCompletion(t *testing.T) {
	t.Parallel()
	c := goClient(t, start(t, simulator.Options{}))
	got, err := c.CreateChatCompletion(t.Context(), chatRequest(prompt))
	require.NoError(t, err)
	require.Equal(t, "chat.completion", got.Object)
	require.Equal(t, "gpt-4o-mini", got.Model)
	require.Len(t, got.Choices, 1)
	require.Equal(t, simulator.Echo(prompt), got.Choices[0].Message.Content, "the last user message counts")
	require.Equal(t, "assistant", got.Choices[0].Message.Role)
	require.Equal(t, goopenai.FinishReasonStop, got.Choices[0].FinishReason)
	text := len("You are terse.An earlier questionAn answer" + prompt)
	require.Equal(t, (text+3)/4, got.Usage.PromptTokens)
	require.Equal(t, (len(simulator.Echo(prompt))+3)/4, got.Usage.CompletionTokens)
	require.Equal(t, got.Usage.PromptTokens+got.Usage.CompletionTokens, got.Usage.TotalTokens)
	require.NotNil(t, got.Usage.PromptTokensDetails)
	require.NotNil(t, got.Usage.CompletionTokensDetails)
	require.Equal(t, "application/json", got.Header().Get("Content-Type"))
	require.True(t, strings.HasPrefix(got.Header().Get("X-Request-Id"), "req_"))
}

func TestGoOpenAIReadsAChatStreamWithItsUsage(t *testing.T) {
	t.Parallel()
	c := goClient(t, start(t, simulator.Options{}))
	request := chatRequest(prompt)
	request.N = 2
	request.StreamOptions = &goopenai.StreamOptions{IncludeUsage: true}
	stream, err := c.CreateChatCompletionStream(t.Context(), request)
	require.NoError(t, err)
	defer func() { require.NoError(t, stream.Close()) }()
	var (
		texts   [2]string
		reasons [2]goopenai.FinishReason
		usage   *goopenai.Usage
	)
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.Nil(t, usage, "the usage is last")
		usage = chunk.Usage
		for _, choice := range chunk.Choices {
			texts[choice.Index] += choice.Delta.Content
			reasons[choice.Index] = choice.FinishReason
		}
	}
	echo := simulator.Echo(prompt)
	require.Equal(t, [2]string{echo, echo}, texts)
	require.Equal(t, [2]goopenai.FinishReason{"stop", "stop"}, reasons)
	require.NotNil(t, usage)
	require.Equal(t, 2*((len(echo)+3)/4), usage.CompletionTokens)
}

func TestGoOpenAIReadsTheOtherEndpoints(t *testing.T) {
	t.Parallel()
	c := goClient(t, start(t, simulator.Options{}))

	completion, err := c.CreateCompletion(t.Context(), goopenai.CompletionRequest{Model: "m", Prompt: prompt, MaxTokens: 2})
	require.NoError(t, err)
	require.Equal(t, simulator.Echo(prompt)[:8], completion.Choices[0].Text)
	require.Equal(t, "length", completion.Choices[0].FinishReason)
	require.Equal(t, 2, completion.Usage.CompletionTokens)

	embeddings, err := c.CreateEmbeddings(t.Context(), goopenai.EmbeddingRequest{
		Model: "text-embedding-3-small", Input: []string{"one", "two", "one"}, Dimensions: 8,
	})
	require.NoError(t, err)
	require.Len(t, embeddings.Data, 3)
	require.Len(t, embeddings.Data[0].Embedding, 8)
	require.Equal(t, embeddings.Data[0].Embedding, embeddings.Data[2].Embedding)
	require.NotEqual(t, embeddings.Data[0].Embedding, embeddings.Data[1].Embedding)
	require.Equal(t, 3, embeddings.Usage.PromptTokens)

	moderation, err := c.Moderations(t.Context(), goopenai.ModerationRequest{Input: "please sim:flag this"})
	require.NoError(t, err)
	require.Equal(t, "omni-moderation-latest", moderation.Model)
	require.True(t, moderation.Results[0].Flagged)
	require.True(t, moderation.Results[0].Categories.Violence)
	require.Greater(t, moderation.Results[0].CategoryScores.Violence, float32(0.9))

	response, err := c.CreateResponse(t.Context(), goopenai.CreateResponseRequest{Model: "m", Input: prompt})
	require.NoError(t, err)
	require.Equal(t, simulator.Echo(prompt), response.GetOutputText())

	models, err := c.ListModels(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, models.Models)
	model, err := c.GetModel(t.Context(), "any-name")
	require.NoError(t, err)
	require.Equal(t, "any-name", model.ID)
}

func TestBase64EmbeddingsAreTheSameNumbers(t *testing.T) {
	t.Parallel()
	c := goClient(t, start(t, simulator.Options{}))
	request := goopenai.EmbeddingRequest{Model: "m", Input: "one"}
	floats, err := c.CreateEmbeddings(t.Context(), request)
	require.NoError(t, err)
	request.EncodingFormat = goopenai.EmbeddingEncodingFormatBase64
	base64, err := c.CreateEmbeddings(t.Context(), request)
	require.NoError(t, err)
	require.Len(t, floats.Data[0].Embedding, 1536)
	require.Equal(t, floats.Data[0].Embedding, base64.Data[0].Embedding)
	var squares float64
	for _, x := range floats.Data[0].Embedding {
		squares += float64(x) * float64(x)
	}
	require.InDelta(t, 1, squares, 1e-5, "a unit vector")
}

func TestTheOfficialClientReadsAResponse(t *testing.T) {
	t.Parallel()
	c := officialClient(t, start(t, simulator.Options{}))
	got, err := c.Responses.New(t.Context(), responses.ResponseNewParams{
		Model:        "gpt-5-mini",
		Instructions: sdk.String("Be terse."),
		Input:        responses.ResponseNewParamsInputUnion{OfString: sdk.String(prompt)},
		Metadata:     map[string]string{"k": "v"},
	})
	require.NoError(t, err)
	require.Equal(t, simulator.Echo(prompt), got.OutputText())
	require.Equal(t, responses.ResponseStatusCompleted, got.Status)
	require.Equal(t, "gpt-5-mini", got.Model)
	require.Equal(t, "Be terse.", got.Instructions.OfString)
	require.Equal(t, "v", got.Metadata["k"])
	require.Equal(t, int64(len("Be terse."+prompt)+3)/4, got.Usage.InputTokens)
	require.Equal(t, got.Usage.InputTokens+got.Usage.OutputTokens, got.Usage.TotalTokens)
}

func TestAResponseThatMeetsItsLimitIsIncomplete(t *testing.T) {
	t.Parallel()
	c := officialClient(t, start(t, simulator.Options{}))
	got, err := c.Responses.New(t.Context(), responses.ResponseNewParams{
		Model: "m", MaxOutputTokens: sdk.Int(2),
		Input: responses.ResponseNewParamsInputUnion{OfString: sdk.String(prompt)},
	})
	require.NoError(t, err)
	require.Equal(t, responses.ResponseStatusIncomplete, got.Status)
	require.Equal(t, "max_output_tokens", got.IncompleteDetails.Reason)
	require.Equal(t, int64(2), got.Usage.OutputTokens)
	require.Equal(t, simulator.Echo(prompt)[:8], got.OutputText())
}

func TestTheOfficialClientReadsAResponseStream(t *testing.T) {
	t.Parallel()
	c := officialClient(t, start(t, simulator.Options{}))
	stream := c.Responses.NewStreaming(t.Context(), responses.ResponseNewParams{
		Model: "m", Input: responses.ResponseNewParamsInputUnion{OfString: sdk.String(prompt)},
	})
	var (
		kinds []string
		text  string
		final responses.Response
	)
	for stream.Next() {
		event := stream.Current()
		require.Equal(t, int64(len(kinds)), event.SequenceNumber)
		kinds = append(kinds, event.Type)
		text += event.AsResponseOutputTextDelta().Delta
		final = event.Response
	}
	require.NoError(t, stream.Err())
	require.NoError(t, stream.Close())
	require.Equal(t, simulator.Echo(prompt), text)
	require.Equal(t, simulator.Echo(prompt), final.OutputText())
	require.Positive(t, final.Usage.OutputTokens)
	require.Equal(t, []string{
		"response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
		"response.output_text.delta", "response.output_text.delta", "response.output_text.done",
		"response.content_part.done", "response.output_item.done", "response.completed",
	}, kinds)
}

func TestTheOfficialClientReadsTheOtherEndpoints(t *testing.T) {
	t.Parallel()
	c := officialClient(t, start(t, simulator.Options{}))
	chat, err := c.Chat.Completions.New(t.Context(), sdk.ChatCompletionNewParams{
		Model: "m", Messages: []sdk.ChatCompletionMessageParamUnion{sdk.UserMessage(prompt)}, MaxCompletionTokens: sdk.Int(100),
	})
	require.NoError(t, err)
	require.Equal(t, int64(100), chat.Usage.CompletionTokens)
	require.Len(t, chat.Choices[0].Message.Content, 400)
	require.True(t, strings.HasPrefix(chat.Choices[0].Message.Content, simulator.Echo(prompt)))
	require.Equal(t, "stop", chat.Choices[0].FinishReason)
	require.Equal(t, "null", chat.Choices[0].JSON.Logprobs.Raw(), "fields without a value are there")

	stream := c.Chat.Completions.NewStreaming(t.Context(), sdk.ChatCompletionNewParams{
		Model: "m", Messages: []sdk.ChatCompletionMessageParamUnion{sdk.UserMessage(prompt)},
	})
	var acc sdk.ChatCompletionAccumulator
	for stream.Next() {
		require.True(t, acc.AddChunk(stream.Current()))
	}
	require.NoError(t, stream.Err())
	require.Equal(t, simulator.Echo(prompt), acc.Choices[0].Message.Content)

	completion, err := c.Completions.New(t.Context(), sdk.CompletionNewParams{
		Model: "m", Prompt: sdk.CompletionNewParamsPromptUnion{OfArrayOfStrings: []string{"a", "b"}},
	})
	require.NoError(t, err)
	require.Len(t, completion.Choices, 2)
	require.Equal(t, "Echo: b", completion.Choices[1].Text)

	moderation, err := c.Moderations.New(t.Context(), sdk.ModerationNewParams{
		Input: sdk.ModerationNewParamsInputUnion{OfStringArray: []string{"good", "sim:flag"}},
	})
	require.NoError(t, err)
	require.Len(t, moderation.Results, 2)
	require.False(t, moderation.Results[0].Flagged)
	require.True(t, moderation.Results[1].Flagged)

	page, err := c.Models.List(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, page.Data)
}

func TestCompletionsStreamToo(t *testing.T) {
	t.Parallel()
	c := goClient(t, start(t, simulator.Options{}))
	stream, err := c.CreateCompletionStream(t.Context(), goopenai.CompletionRequest{Model: "m", Prompt: prompt})
	require.NoError(t, err)
	defer func() { require.NoError(t, stream.Close()) }()
	var text, reason string
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		text += chunk.Choices[0].Text
		reason = chunk.Choices[0].FinishReason
	}
	require.Equal(t, simulator.Echo(prompt), text)
	require.Equal(t, "stop", reason)
}
