package openai_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/openai"
)

// requireGolden compares the JSON of v with a file, key for key: the order of
// the file is that in which the real service sends them.
func requireGolden(t *testing.T, name string, v any) []byte {
	t.Helper()
	got, err := json.Marshal(v)
	require.NoError(t, err)
	var pretty bytes.Buffer
	require.NoError(t, json.Indent(&pretty, got, "", "  "))
	want, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	require.Equal(t, string(want), pretty.String()+"\n")
	return got
}

// newBatch is a batch that was just created.
func newBatch() openai.Batch {
	return openai.Batch{
		ID: "batch_1", Object: openai.ObjectBatch, Endpoint: openai.ChatCompletions, InputFileID: "file-1",
		CompletionWindow: "24h", Status: openai.Validating, CreatedAt: 1711471533,
	}
}

// endedBatch is a batch of which every member is set.
func endedBatch() openai.Batch {
	b := newBatch()
	b.Model = new("gpt-4o-mini")
	b.Errors = &openai.BatchErrors{Object: "list", Data: []openai.BatchError{
		{Code: openai.CodeInvalidJSONLine, Message: "This line is not parseable as valid JSON.", Line: new(int64(2))},
		{Code: openai.CodeInvalidRequest, Message: "Model parameter is required.", Param: new("body.model"), Line: new(int64(3))},
		{Code: openai.CodeEmptyFile, Message: "The input file is empty."},
	}}
	b.Status = openai.Cancelled
	b.OutputFileID, b.ErrorFileID = new("file-2"), new("file-3")
	for i, at := range []**int64{
		&b.InProgressAt, &b.ExpiresAt, &b.FinalizingAt, &b.CompletedAt, &b.FailedAt, &b.ExpiredAt, &b.CancellingAt, &b.CancelledAt,
	} {
		*at = new(b.CreatedAt + int64(i) + 1)
	}
	b.RequestCounts = openai.RequestCounts{Total: 100, Completed: 95, Failed: 5}
	b.Usage = &openai.Usage{
		InputTokens: 10, InputTokensDetails: openai.InputTokensDetails{CachedTokens: 2},
		OutputTokens: 20, OutputTokensDetails: openai.OutputTokensDetails{ReasoningTokens: 15}, TotalTokens: 30,
	}
	b.Metadata = map[string]string{"customer_id": "user_123456789"}
	return b
}

func TestABatchHasEveryKeyAndNullForWhatHasNotHappened(t *testing.T) {
	t.Parallel()
	requireGolden(t, "batch_new.json", newBatch())
}

func TestABatchHasEveryKeyAsTheRealServiceSendsIt(t *testing.T) {
	t.Parallel()
	data := requireGolden(t, "batch_ended.json", endedBatch())
	var again openai.Batch
	require.NoError(t, json.Unmarshal(data, &again))
	require.Equal(t, endedBatch(), again)
}

func TestFourStatesAreFinal(t *testing.T) {
	t.Parallel()
	for status, want := range map[openai.Status]bool{
		"validating": false, "in_progress": false, "finalizing": false, "cancelling": false,
		"failed": true, "completed": true, "expired": true, "cancelled": true, "": false, "done": false,
	} {
		require.Equal(t, want, status.Final(), status)
	}
}

func TestUsageAddsUpMemberByMember(t *testing.T) {
	t.Parallel()
	sum := openai.Usage{
		InputTokens: 1, InputTokensDetails: openai.InputTokensDetails{CachedTokens: 2},
		OutputTokens: 3, OutputTokensDetails: openai.OutputTokensDetails{ReasoningTokens: 4}, TotalTokens: 5,
	}
	sum.Add(openai.Usage{
		InputTokens: 10, InputTokensDetails: openai.InputTokensDetails{CachedTokens: 20},
		OutputTokens: 30, OutputTokensDetails: openai.OutputTokensDetails{ReasoningTokens: 40}, TotalTokens: 50,
	})
	require.Equal(t, openai.Usage{
		InputTokens: 11, InputTokensDetails: openai.InputTokensDetails{CachedTokens: 22},
		OutputTokens: 33, OutputTokensDetails: openai.OutputTokensDetails{ReasoningTokens: 44}, TotalTokens: 55,
	}, sum)
}
