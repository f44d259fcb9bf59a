package openai_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/openai"
)

// newFile is a file as it was seen from the real service.
func newFile() openai.File {
	return openai.File{
		ID: "file-1", Object: openai.ObjectFile, Bytes: 170, CreatedAt: 1711471533, ExpiresAt: new(int64(1714063533)),
		Filename: "bad_lines.jsonl", Purpose: openai.PurposeBatch, Status: openai.StatusProcessed,
	}
}

func TestAFileHasEveryKeyAsTheRealServiceSendsIt(t *testing.T) {
	t.Parallel()
	data := requireGolden(t, "file.json", newFile())
	var again openai.File
	require.NoError(t, json.Unmarshal(data, &again))
	require.Equal(t, newFile(), again)
}

func TestAListNamesItsFirstAndLast(t *testing.T) {
	t.Parallel()
	id := func(s string) string { return "id-" + s }
	for want, l := range map[string]openai.List[string]{
		`{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}`:               openai.NewList(nil, false, id),
		`{"object":"list","data":["a"],"first_id":"id-a","last_id":"id-a","has_more":false}`:        openai.NewList([]string{"a"}, false, id),
		`{"object":"list","data":["a","b","c"],"first_id":"id-a","last_id":"id-c","has_more":true}`: openai.NewList([]string{"a", "b", "c"}, true, id),
	} {
		got, err := json.Marshal(l)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
}

func TestADeletionIsConfirmed(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal(openai.Deleted{ID: "file-1", Object: openai.ObjectFile, Deleted: true})
	require.NoError(t, err)
	require.Equal(t, `{"id":"file-1","object":"file","deleted":true}`, string(got)) //nolint:testifylint // the order of keys counts too
}

func TestAnOutputFileCannotBeUploaded(t *testing.T) {
	t.Parallel()
	require.NotContains(t, openai.UploadPurposes(), openai.PurposeBatchOutput)
	require.ElementsMatch(t, []openai.Purpose{"assistants", "batch", "fine-tune", "vision", "user_data", "evals"}, openai.UploadPurposes())
}
