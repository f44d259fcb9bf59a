package openai_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/openai"
)

// TestErrorsHaveAllFourKeys pins the envelope: SDKs require each key, null where
// there is nothing to say.
func TestErrorsHaveAllFourKeys(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    *openai.Error
		status int
		want   string
	}{
		{openai.InvalidRequest("endpoint", openai.CodeInvalidValue, "Invalid value: '%s'.", "/v2"), 400,
			`{"error":{"message":"Invalid value: '/v2'.","type":"invalid_request_error","param":"endpoint","code":"invalid_value"}}`},
		{openai.InvalidRequest("", "", "100%%"), 400, `{"error":{"message":"100%","type":"invalid_request_error","param":null,"code":null}}`},
		{openai.MissingParameter("input_file_id"), 400, `{"error":{"message":"Missing required parameter: 'input_file_id'.",` +
			`"type":"invalid_request_error","param":"input_file_id","code":"missing_required_parameter"}}`},
		{openai.InvalidType("metadata.tags", openai.KindString, []byte("[]")), 400, `{"error":{"message":` +
			`"Invalid type for 'metadata.tags': expected a string, but got an array instead.",` +
			`"type":"invalid_request_error","param":"metadata.tags","code":"invalid_type"}}`},
		{openai.NotFound("id", "No such File object: %s", "file-abc123"), 404,
			`{"error":{"message":"No such File object: file-abc123","type":"invalid_request_error","param":"id","code":null}}`},
		{openai.NotFound("", "No batch found with id '%s'.", "batch_1"), 404,
			`{"error":{"message":"No batch found with id 'batch_1'.","type":"invalid_request_error","param":null,"code":null}}`},
		{openai.Conflict("Cannot cancel a batch with status '%s'.", openai.Completed), 409,
			`{"error":{"message":"Cannot cancel a batch with status 'completed'.","type":"invalid_request_error","param":null,"code":null}}`},
		{&openai.Error{Message: "down", Type: openai.TypeUnavailable, Status: 503, NoRetry: true}, 503,
			`{"error":{"message":"down","type":"service_unavailable_error","param":null,"code":null}}`},
	} {
		got, err := json.Marshal(openai.Envelope{Error: c.err})
		require.NoError(t, err)
		require.Equal(t, c.want, string(got))
		require.Equal(t, c.status, c.err.Status)
		require.EqualError(t, c.err, c.err.Message)
	}
}

func TestOnlyAConflictTellsSDKsNotToRetry(t *testing.T) {
	t.Parallel()
	require.True(t, openai.Conflict("no").NoRetry, "they retry 409 otherwise")
	require.False(t, openai.InvalidRequest("", "", "no").NoRetry)
	require.False(t, openai.NotFound("", "no").NoRetry)
}
