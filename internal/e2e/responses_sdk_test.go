package e2e_test

import (
	"errors"
	"io"
	"net/http"
	"testing"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
	goopenai "github.com/sashabaranov/go-openai"
	"github.com/stretchr/testify/require"
)

// askGoOpenAI asks with go-openai.
func askGoOpenAI(input string) goopenai.CreateResponseRequest {
	return goopenai.CreateResponseRequest{Model: "gpt-4o-mini", Input: input, Background: true}
}

func TestGoOpenAIUsesResponsesInTheBackground(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c, ctx := s.goOpenAI(), t.Context()
	r, err := c.CreateResponse(ctx, askGoOpenAI("Background of go-openai"))
	require.NoError(t, err)
	require.Equal(t, goopenai.ResponseStatusQueued, r.Status)
	require.True(t, *r.Background)
	require.NotEmpty(t, r.Header().Get("X-Headrace-Task"))
	s.responded(t, r.ID)
	done, err := c.RetrieveResponse(ctx, r.ID, goopenai.RetrieveResponseOptions{Include: []goopenai.ResponseInclude{"reasoning.encrypted_content"}})
	require.NoError(t, err)
	require.Equal(t, r.ID, done.ID)
	require.Equal(t, goopenai.ResponseStatusCompleted, done.Status)
	require.Equal(t, "Echo: Background of go-openai", done.GetOutputText())
	require.Positive(t, done.Usage.TotalTokens)

	deleted, err := c.DeleteResponse(ctx, r.ID)
	require.NoError(t, err)
	require.Equal(t, goopenai.ResponseDeleteResponse{ID: r.ID, Object: "response", Deleted: true}.ID, deleted.ID)
	require.True(t, deleted.Deleted)
	_, err = c.RetrieveResponse(ctx, r.ID)
	var gone *goopenai.APIError
	require.ErrorAs(t, err, &gone)
	require.Equal(t, http.StatusNotFound, gone.HTTPStatusCode)
}

func TestGoOpenAICancelsAResponse(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c, ctx := s.goOpenAI(), t.Context()
	stalled := askGoOpenAI(unique("Cancelled by go-openai"))
	stalled.User = "sim:stall"
	r, err := c.CreateResponse(ctx, stalled)
	require.NoError(t, err)
	s.awaitResponse(t, r.ID, "in_progress")
	for range 2 { // it may be said again
		cancelled, err := c.CancelResponse(ctx, r.ID)
		require.NoError(t, err)
		require.Equal(t, goopenai.ResponseStatusCancelled, cancelled.Status)
	}
	done, err := c.RetrieveResponse(ctx, r.ID)
	require.NoError(t, err)
	require.Equal(t, goopenai.ResponseStatusCancelled, done.Status)
	require.Nil(t, done.Error)
}

func TestGoOpenAIStreamsAResponseInTheBackground(t *testing.T) {
	t.Parallel()
	stream, err := shared(t).goOpenAI().CreateResponseStream(t.Context(), askGoOpenAI("Background stream of go-openai"))
	require.NoError(t, err)
	defer func() { _ = stream.Close() }()
	var kinds []goopenai.ResponseStreamEventType
	text, number := "", -1
	for {
		e, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.Greater(t, e.SequenceNumber, number)
		number = e.SequenceNumber
		kinds = append(kinds, e.Type)
		if e.Type == goopenai.ResponseStreamEventOutputTextDelta {
			text += e.Delta
		}
	}
	require.Equal(t, []goopenai.ResponseStreamEventType{"response.created", "response.queued", "response.in_progress"}, kinds[:3])
	require.Equal(t, goopenai.ResponseStreamEventType("response.completed"), kinds[len(kinds)-1])
	require.Equal(t, "Echo: Background stream of go-openai", text)
}

// askOfficially asks with the official SDK.
func askOfficially(input string) responses.ResponseNewParams {
	return responses.ResponseNewParams{
		Model: "gpt-4o-mini", Background: sdk.Bool(true), Input: responses.ResponseNewParamsInputUnion{OfString: sdk.String(input)},
	}
}

func TestTheOfficialSDKUsesResponsesInTheBackground(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c, ctx := s.official(), t.Context()
	r, err := c.Responses.New(ctx, askOfficially("Background of the official SDK"))
	require.NoError(t, err)
	require.Equal(t, responses.ResponseStatusQueued, r.Status)
	require.True(t, r.Background)
	for name, field := range map[string]bool{
		"error": r.JSON.Error.Raw() == "null", "incomplete_details": r.JSON.IncompleteDetails.Raw() == "null",
		"instructions": r.JSON.Instructions.Raw() == "null", "tools": r.JSON.Tools.Valid(), "output": r.JSON.Output.Valid(),
		"parallel_tool_calls": r.JSON.ParallelToolCalls.Valid(), "metadata": r.JSON.Metadata.Valid(),
		"tool_choice": r.JSON.ToolChoice.Valid(), "temperature": r.JSON.Temperature.Valid(), "top_p": r.JSON.TopP.Valid(),
		"model": r.JSON.Model.Valid(), "created_at": r.JSON.CreatedAt.Valid(),
	} {
		require.True(t, field, name)
	}
	s.responded(t, r.ID)
	done, err := c.Responses.Get(ctx, r.ID, responses.ResponseGetParams{
		Include: []responses.ResponseIncludable{responses.ResponseIncludableFileSearchCallResults},
	})
	require.NoError(t, err)
	require.Equal(t, responses.ResponseStatusCompleted, done.Status)
	require.Equal(t, "Echo: Background of the official SDK", done.OutputText())

	again, err := c.Responses.Cancel(ctx, r.ID)
	require.NoError(t, err)
	require.Equal(t, done.RawJSON(), again.RawJSON(), "what has ended stays as it is")
	require.NoError(t, c.Responses.Delete(ctx, r.ID))
	_, err = c.Responses.Get(ctx, r.ID, responses.ResponseGetParams{})
	var gone *sdk.Error
	require.ErrorAs(t, err, &gone)
	require.Equal(t, http.StatusNotFound, gone.StatusCode)
	require.Equal(t, "invalid_request_error", gone.Type)
}

func TestTheOfficialSDKResumesAStreamOfAResponse(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c, ctx := s.official(), t.Context()
	first := c.Responses.NewStreaming(ctx, askOfficially("Background stream of the official SDK"))
	id, text := "", ""
	var last int64
	for range 8 {
		require.True(t, first.Next(), "%v", first.Err())
		e := first.Current()
		last = e.SequenceNumber
		text += e.Delta
		if e.Type == "response.created" {
			id = e.Response.ID
		}
	}
	require.NoError(t, first.Close())
	rest := c.Responses.GetStreaming(ctx, id, responses.ResponseGetParams{StartingAfter: sdk.Int(last)})
	kind := ""
	for rest.Next() {
		e := rest.Current()
		require.Greater(t, e.SequenceNumber, last)
		last, kind = e.SequenceNumber, e.Type
		text += e.Delta
	}
	require.NoError(t, rest.Err())
	require.Equal(t, "response.completed", kind)
	require.Equal(t, "Echo: Background stream of the official SDK", text)
}

func TestTheOfficialSDKCancelsAStreamOfAResponse(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c, ctx := s.official(), t.Context()
	stream := c.Responses.NewStreaming(ctx, askOfficially(unique("Cancelled by the official SDK")), option.WithJSONSet("user", "sim:stall"))
	require.True(t, stream.Next(), "%v", stream.Err())
	id := stream.Current().Response.ID
	s.awaitResponse(t, id, "in_progress")
	cancelled, err := c.Responses.Cancel(ctx, id)
	require.NoError(t, err)
	require.Equal(t, responses.ResponseStatusCancelled, cancelled.Status)
	require.True(t, stream.Next())
	require.Equal(t, "response.queued", stream.Current().Type)
	require.False(t, stream.Next(), "the stream of a cancelled response just ends")
	require.NoError(t, stream.Err())
}
