package openai_test

import (
	"encoding/json"
	"testing"

	sdk "github.com/openai/openai-go/v3"
	goopenai "github.com/sashabaranov/go-openai"
	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/openai"
)

func decode[T any](t *testing.T, v any) T {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	var got T
	require.NoError(t, json.Unmarshal(data, &got))
	return got
}

func TestTheOfficialSDKReadsABatch(t *testing.T) {
	t.Parallel()
	want := endedBatch()
	got := decode[sdk.Batch](t, want)
	require.Equal(t, want.ID, got.ID)
	require.Equal(t, "batch", string(got.Object))
	require.Equal(t, string(want.Endpoint), got.Endpoint)
	require.Equal(t, want.InputFileID, got.InputFileID)
	require.Equal(t, want.CompletionWindow, got.CompletionWindow)
	require.Equal(t, sdk.BatchStatusCancelled, got.Status)
	require.Equal(t, *want.OutputFileID, got.OutputFileID)
	require.Equal(t, *want.ErrorFileID, got.ErrorFileID)
	require.Equal(t, *want.Model, got.Model)
	require.Equal(t, want.CreatedAt, got.CreatedAt)
	require.Equal(t, []int64{
		*want.InProgressAt, *want.ExpiresAt, *want.FinalizingAt, *want.CompletedAt, *want.FailedAt, *want.ExpiredAt, *want.CancellingAt, *want.CancelledAt,
	}, []int64{
		got.InProgressAt, got.ExpiresAt, got.FinalizingAt, got.CompletedAt, got.FailedAt, got.ExpiredAt, got.CancellingAt, got.CancelledAt,
	})
	require.Equal(t, want.RequestCounts, openai.RequestCounts{
		Total: got.RequestCounts.Total, Completed: got.RequestCounts.Completed, Failed: got.RequestCounts.Failed,
	})
	require.Equal(t, want.Usage.TotalTokens, got.Usage.TotalTokens)
	require.Equal(t, want.Usage.InputTokensDetails.CachedTokens, got.Usage.InputTokensDetails.CachedTokens)
	require.Equal(t, want.Usage.OutputTokensDetails.ReasoningTokens, got.Usage.OutputTokensDetails.ReasoningTokens)
	require.Equal(t, want.Metadata, map[string]string(got.Metadata))
	require.Equal(t, "list", got.Errors.Object)
	require.Len(t, got.Errors.Data, 3)
	require.Equal(t, int64(3), got.Errors.Data[1].Line)
	require.Equal(t, "body.model", got.Errors.Data[1].Param)
	require.False(t, got.Errors.Data[2].JSON.Line.Valid(), "null")
}

// TestTheOfficialSDKMissesNoKey asks it what it had to do without.
func TestTheOfficialSDKMissesNoKey(t *testing.T) {
	t.Parallel()
	got := decode[sdk.Batch](t, newBatch())
	require.Empty(t, got.JSON.ExtraFields, "keys that it does not know")
	for _, field := range []struct {
		name, raw string
	}{
		{"id", got.JSON.ID.Raw()}, {"object", got.JSON.Object.Raw()}, {"endpoint", got.JSON.Endpoint.Raw()}, {"status", got.JSON.Status.Raw()},
		{"input_file_id", got.JSON.InputFileID.Raw()}, {"completion_window", got.JSON.CompletionWindow.Raw()}, {"created_at", got.JSON.CreatedAt.Raw()},
		{"errors", got.JSON.Errors.Raw()}, {"output_file_id", got.JSON.OutputFileID.Raw()}, {"error_file_id", got.JSON.ErrorFileID.Raw()},
		{"in_progress_at", got.JSON.InProgressAt.Raw()}, {"expires_at", got.JSON.ExpiresAt.Raw()}, {"finalizing_at", got.JSON.FinalizingAt.Raw()},
		{"completed_at", got.JSON.CompletedAt.Raw()}, {"failed_at", got.JSON.FailedAt.Raw()}, {"expired_at", got.JSON.ExpiredAt.Raw()},
		{"cancelling_at", got.JSON.CancellingAt.Raw()}, {"cancelled_at", got.JSON.CancelledAt.Raw()}, {"model", got.JSON.Model.Raw()},
		{"request_counts", got.JSON.RequestCounts.Raw()}, {"usage", got.JSON.Usage.Raw()}, {"metadata", got.JSON.Metadata.Raw()},
	} {
		require.NotEmpty(t, field.raw, field.name)
	}
	file := decode[sdk.FileObject](t, newFile())
	require.Empty(t, file.JSON.ExtraFields)
	require.NotEmpty(t, file.JSON.StatusDetails.Raw())
}

func TestTheOfficialSDKReadsAFile(t *testing.T) {
	t.Parallel()
	want := newFile()
	got := decode[sdk.FileObject](t, want)
	require.Equal(t, want.ID, got.ID)
	require.Equal(t, want.Bytes, got.Bytes)
	require.Equal(t, want.CreatedAt, got.CreatedAt)
	require.Equal(t, *want.ExpiresAt, got.ExpiresAt)
	require.Equal(t, want.Filename, got.Filename)
	require.Equal(t, sdk.FileObjectPurposeBatch, got.Purpose)
	require.Equal(t, sdk.FileObjectStatusProcessed, got.Status) //nolint:staticcheck // deprecated, and required
	require.Equal(t, sdk.FileObjectPurposeBatchOutput, decode[sdk.FileObject](t, openai.File{Purpose: openai.PurposeBatchOutput}).Purpose)
}

func TestGoOpenAIReadsABatchAFileAndAnError(t *testing.T) {
	t.Parallel()
	for _, want := range []openai.Batch{newBatch(), endedBatch()} {
		got := decode[goopenai.BatchResponse](t, want)
		require.Equal(t, want.ID, got.ID)
		require.Equal(t, string(want.Endpoint), string(got.Endpoint))
		require.Equal(t, string(want.Status), got.Status)
		require.Equal(t, want.OutputFileID, got.OutputFileID)
		require.Equal(t, want.ErrorFileID, got.ErrorFileID)
		require.Equal(t, int(want.RequestCounts.Total), got.RequestCounts.Total)
		require.Equal(t, int(want.CreatedAt), got.CreatedAt)
		require.Len(t, got.Metadata, len(want.Metadata))
	}
	errs := decode[goopenai.BatchResponse](t, endedBatch()).Errors.Data
	require.Len(t, errs, 3)
	require.Equal(t, 3, *errs[1].Line)
	require.Nil(t, errs[2].Line)

	file := decode[goopenai.File](t, newFile())
	require.Equal(t, newFile().Filename, file.FileName)
	require.Equal(t, "processed", file.Status)

	e := decode[goopenai.ErrorResponse](t, openai.Envelope{Error: openai.MissingParameter("endpoint")}).Error
	require.Equal(t, "missing_required_parameter", e.Code)
	require.Equal(t, "endpoint", *e.Param)
	require.Equal(t, "invalid_request_error", e.Type)
}
