package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	sdk "github.com/openai/openai-go/v3"
	goopenai "github.com/sashabaranov/go-openai"
	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/openai"
)

func TestGoOpenAITakesABatchFromUploadToOutput(t *testing.T) {
	t.Parallel()
	c, ctx := shared(t).goOpenAI(), t.Context()
	request := goopenai.CreateBatchWithUploadFileRequest{
		Endpoint: goopenai.BatchEndpointChatCompletions, CompletionWindow: "24h", Metadata: map[string]any{"team": "search"},
	}
	request.FileName = "journey.jsonl"
	for i := range 20 {
		request.AddChatCompletion(fmt.Sprintf("go-%d", i), goopenai.ChatCompletionRequest{
			Model: "gpt-4o-mini", Messages: []goopenai.ChatCompletionMessage{{Role: "user", Content: fmt.Sprintf("Go journey %d", i)}},
		})
	}
	b, err := c.CreateBatchWithUploadFile(ctx, request)
	require.NoError(t, err)
	require.Equal(t, "validating", b.Status)
	require.Equal(t, map[string]any{"team": "search"}, b.Metadata)
	eventually(t, func() bool {
		b, err = c.RetrieveBatch(ctx, b.ID)
		require.NoError(t, err)
		return b.Status == "completed"
	}, "the batch does not complete")
	require.Equal(t, goopenai.BatchRequestCounts{Total: 20, Completed: 20}, b.RequestCounts)
	require.Nil(t, b.ErrorFileID)
	require.Nil(t, b.Errors)

	content, err := c.GetFileContent(ctx, *b.OutputFileID)
	require.NoError(t, err)
	defer func() { require.NoError(t, content.Close()) }()
	for i, line := range lines(t, content) {
		var got struct {
			CustomID string `json:"custom_id"`
			Response struct {
				StatusCode int                             `json:"status_code"`
				Body       goopenai.ChatCompletionResponse `json:"body"`
			} `json:"response"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &got))
		require.Equal(t, fmt.Sprintf("go-%d", i), got.CustomID)
		require.Equal(t, 200, got.Response.StatusCode)
		require.Equal(t, fmt.Sprintf("Echo: Go journey %d", i), got.Response.Body.Choices[0].Message.Content)
	}
}

func TestGoOpenAIReadsListsAndDeletesFiles(t *testing.T) {
	t.Parallel()
	c, ctx := shared(t).goOpenAI(), t.Context()
	f, err := c.CreateFileBytes(ctx, goopenai.FileBytesRequest{Name: "listed.jsonl", Bytes: []byte("{}\n"), Purpose: goopenai.PurposeBatch})
	require.NoError(t, err)
	require.Equal(t, 3, f.Bytes)
	require.Equal(t, "processed", f.Status)
	got, err := c.GetFile(ctx, f.ID)
	require.NoError(t, err)
	require.Equal(t, "listed.jsonl", got.FileName)
	require.True(t, listsFile(t, c, f.ID))
	require.NoError(t, c.DeleteFile(ctx, f.ID))
	require.False(t, listsFile(t, c, f.ID))
	_, err = c.GetFile(ctx, f.ID)
	var refused *goopenai.APIError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 404, refused.HTTPStatusCode)
	require.Equal(t, "No such File object: "+f.ID, refused.Message)
}

func listsFile(t *testing.T, c *goopenai.Client, id string) bool {
	t.Helper()
	list, err := c.ListFiles(t.Context())
	require.NoError(t, err)
	for _, f := range list.Files {
		if f.ID == id {
			return true
		}
	}
	return false
}

func TestTheOfficialSDKTakesABatchFromUploadToOutput(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c, ctx := s.official(), t.Context()
	bodies := map[string]string{}
	var input strings.Builder
	for i := range 20 {
		id := fmt.Sprintf("sdk-%d", i)
		bodies[id] = chatBody("Official journey "+id, "")
		input.WriteString(chatLine(id, bodies[id]))
	}
	b := officialBatch(t, c, input.String())
	eventually(t, func() bool {
		var err error
		b, err = c.Batches.Get(ctx, b.ID)
		require.NoError(t, err)
		return b.Status == sdk.BatchStatusCompleted
	}, "the batch does not complete")
	require.Equal(t, int64(20), b.RequestCounts.Completed)
	require.Positive(t, b.Usage.InputTokens)
	require.Equal(t, b.Usage.InputTokens+b.Usage.OutputTokens, b.Usage.TotalTokens)
	require.Equal(t, "gpt-4o-mini", b.Model)
	require.Equal(t, "2", b.Metadata["n"])

	res, err := c.Files.Content(ctx, b.OutputFileID)
	require.NoError(t, err)
	defer func() { require.NoError(t, res.Body.Close()) }()
	output := lines(t, res.Body)
	require.Len(t, output, len(bodies))
	for i, line := range output {
		l := resultOf(t, line)
		require.Equal(t, fmt.Sprintf("sdk-%d", i), l.CustomID, "the output is in the order of the input")
		want, err := s.upstream.Answer(openai.ChatCompletions, []byte(bodies[l.CustomID]))
		require.NoError(t, err)
		require.Equal(t, string(want), string(l.Response.Body))
	}
}

func officialBatch(t *testing.T, c sdk.Client, input string) *sdk.Batch {
	t.Helper()
	f, err := c.Files.New(t.Context(), sdk.FileNewParams{
		File: sdk.File(strings.NewReader(input), "input.jsonl", "application/jsonl"), Purpose: sdk.FilePurposeBatch,
	})
	require.NoError(t, err)
	require.Equal(t, int64(len(input)), f.Bytes)
	b, err := c.Batches.New(t.Context(), sdk.BatchNewParams{
		InputFileID: f.ID, Endpoint: sdk.BatchNewParamsEndpointV1ChatCompletions,
		CompletionWindow: sdk.BatchNewParamsCompletionWindow24h, Metadata: map[string]string{"n": "2"},
	})
	require.NoError(t, err)
	require.Equal(t, sdk.BatchStatusValidating, b.Status)
	return b
}

// result is a line of an output or error file.
type result struct {
	ID       string `json:"id"`
	CustomID string `json:"custom_id"`
	Response *struct {
		StatusCode int             `json:"status_code"`
		RequestID  string          `json:"request_id"`
		Body       json.RawMessage `json:"body"`
	} `json:"response"`
	Error *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

func resultOf(t *testing.T, line string) result {
	t.Helper()
	var r result
	require.NoError(t, json.Unmarshal([]byte(line), &r), "%.200s", line)
	return r
}

// resultsOf is resultOf for every line of content.
func resultsOf(t *testing.T, content string) []result {
	t.Helper()
	var all []result
	for _, line := range lines(t, strings.NewReader(content)) {
		all = append(all, resultOf(t, line))
	}
	return all
}

func TestTheOfficialSDKReadsListsAndDeletesFiles(t *testing.T) {
	t.Parallel()
	c, ctx := shared(t).official(), t.Context()
	f, err := c.Files.New(ctx, sdk.FileNewParams{
		File: sdk.File(strings.NewReader("hello\n"), "notes.txt", "text/plain"), Purpose: sdk.FilePurposeUserData,
		ExpiresAfter: sdk.FileNewParamsExpiresAfter{Seconds: 7200},
	})
	require.NoError(t, err)
	require.Equal(t, f.CreatedAt+7200, f.ExpiresAt)
	got, err := c.Files.Get(ctx, f.ID)
	require.NoError(t, err)
	require.JSONEq(t, f.RawJSON(), got.RawJSON())
	res, err := c.Files.Content(ctx, f.ID)
	require.NoError(t, err)
	content, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, "hello\n", string(content))
	deleted, err := c.Files.Delete(ctx, f.ID)
	require.NoError(t, err)
	require.JSONEq(t, fmt.Sprintf(`{"id":%q,"object":"file","deleted":true}`, f.ID), deleted.RawJSON())
	_, err = c.Files.Content(ctx, f.ID) //nolint:bodyclose // there is none
	var refused *sdk.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 404, refused.StatusCode)
}

// TestBothClientsCancelABatch keeps one call waiting and the others behind it.
func TestBothClientsCancelABatch(t *testing.T) {
	t.Parallel()
	s := shared(t)
	goClient, official := s.goOpenAI(), s.official()
	for name, cancel := range map[string]func(context.Context, string) (string, error){
		"go-openai": func(ctx context.Context, id string) (string, error) {
			b, err := goClient.CancelBatch(ctx, id)
			return b.Status, err
		},
		"openai-go": func(ctx context.Context, id string) (string, error) {
			b, err := official.Batches.Cancel(ctx, id)
			if err != nil {
				return "", err
			}
			return string(b.Status), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			input := request("quick", "Cancelled by "+name, "") + "\n"
			for i := range 5 {
				input += request(fmt.Sprintf("slow-%d", i), "Cancelled by "+name, `,"user":"sim:latency=2s"`) + "\n"
			}
			id := s.create(t, s.upload(t, input), `,"headrace":{"max_concurrency":1}`)
			eventually(t, func() bool {
				return counts(t, s.batch(t, id))["completed"] == 1
			}, "the first call does not finish")
			status, err := cancel(t.Context(), id)
			require.NoError(t, err)
			require.Contains(t, []string{"cancelling", "cancelled"}, status)
			requireCancelled(t, s, id)
		})
	}
}

// requireCancelled waits for the end of a batch of six of which some requests
// were not made, and looks for every request in one of its files.
func requireCancelled(t *testing.T, s *system, id string) {
	t.Helper()
	b := s.until(t, id, "cancelled")
	made := resultsOf(t, s.content(t, b, "output_file_id"))
	unmade := resultsOf(t, s.content(t, b, "error_file_id"))
	require.Equal(t, "quick", made[0].CustomID)
	require.NotEmpty(t, unmade)
	require.Len(t, append(made, unmade...), 6)
	for _, l := range unmade {
		require.Nil(t, l.Response)
		require.Equal(t, "batch_cancelled", l.Error.Code)
	}
	require.Equal(t, map[string]int64{"total": 6, "completed": int64(len(made)), "failed": 0}, counts(t, b))
}

// counts are the request_counts of a batch.
func counts(t *testing.T, b map[string]any) map[string]int64 {
	t.Helper()
	all := map[string]int64{}
	for name, v := range b["request_counts"].(map[string]any) {
		n, err := v.(json.Number).Int64()
		require.NoError(t, err)
		all[name] = n
	}
	return all
}
