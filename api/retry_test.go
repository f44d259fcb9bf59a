package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/workflows"
)

// ended creates a batch that has ended with so many answers to three requests.
func (b *testBundle) ended(t *testing.T, completed int64) batch.Object {
	t.Helper()
	o := b.created(t, `,"metadata":{"night":"14"},"headrace":{"max_attempts":7,"max_concurrency":9,"queue":"q"}`)
	o.RequestCounts = openai.RequestCounts{Total: 3, Completed: completed}
	return b.end(t, o)
}

func TestARetryIsAsTheBatchWasButForWhatIsSaidOtherwise(t *testing.T) {
	t.Parallel()
	b := setup(t)
	old := b.ended(t, 1)
	for body, want := range map[string]func(*batch.Object){
		"": func(*batch.Object) {},
		`{"completion_window":"2h","metadata":{"night":"15"},"headrace":{"max_concurrency":2}}`: func(o *batch.Object) {
			o.CompletionWindow, o.Metadata, o.Headrace.MaxConcurrency = "2h", map[string]string{"night": "15"}, 2
		},
	} {
		w := b.send(t, http.MethodPost, "/v1/batches/"+old.ID+"/retry", body)
		require.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
		o := decode[batch.Object](t, w.Body)
		expected := old
		want(&expected)
		require.NotEqual(t, old.ID, o.ID)
		require.NotEqual(t, old.InputFileID, o.InputFileID)
		require.True(t, openai.ValidID(openai.PrefixFile, o.InputFileID))
		require.Equal(t, openai.Validating, o.Status)
		require.Equal(t, old.ID, o.Headrace.RetryOf)
		require.Equal(t, expected.Headrace.Options, o.Headrace.Options)
		require.Equal(t, []any{expected.Endpoint, expected.CompletionWindow, expected.Metadata}, []any{o.Endpoint, o.CompletionWindow, o.Metadata})
		started := b.temporal.started[o.ID]
		require.False(t, started.InputMissing, "its input is still to be made")
		require.Equal(t, &workflows.Retry{
			Run: workflows.Run{Project: store.DefaultProject, Batch: old.ID}, InputFileID: old.InputFileID,
		}, started.Retry)
		require.Contains(t, b.pins(t), "files/default/pins/"+old.InputFileID+"/"+o.ID, "its lines are needed until they have been copied")
	}
}

func TestABatchThatLeavesNothingToRetryIsNotRetried(t *testing.T) {
	t.Parallel()
	b := setup(t)
	running, done, refused, deleted, noOutput := b.created(t, ""), b.ended(t, 3), b.created(t, ""), b.ended(t, 1), b.ended(t, 1)
	refused.Status = openai.Failed
	require.NoError(t, b.store.PutJSON(t.Context(), workflows.Run{Project: store.DefaultProject, Batch: refused.ID}.Object(), refused))
	require.NoError(t, b.store.DeleteFile(t.Context(), store.DefaultProject, deleted.InputFileID))
	gone := openai.NewID(openai.PrefixFile)
	noOutput.OutputFileID = &gone
	b.end(t, noOutput)
	for _, c := range []struct {
		id, message string
		status      int
	}{
		{running.ID, "with status 'validating'", http.StatusConflict},
		{done.ID, "every request of batch " + done.ID, http.StatusBadRequest},
		{refused.ID, "no request of batch", http.StatusBadRequest},
		{deleted.ID, deleted.InputFileID, http.StatusBadRequest},
		{noOutput.ID, gone, http.StatusBadRequest},
		{"batch_00000000000000000000000000", "No batch found", http.StatusNotFound},
	} {
		e := envelope(t, b.send(t, http.MethodPost, "/v1/batches/"+c.id+"/retry", "", "Idempotency-Key: k"))
		require.Equal(t, c.status, e.Status)
		require.Contains(t, e.Message, c.message)
	}
	e := envelope(t, b.send(t, http.MethodPost, "/v1/batches/"+done.ID+"/retry", `{"endpoint":"/v1/embeddings"}`))
	require.Equal(t, "endpoint", *e.Param)
	require.Len(t, b.batches(t), 5)
}

func TestARetryThatIsAskedForAgainWithItsKeyIsTheSame(t *testing.T) {
	t.Parallel()
	b := setup(t)
	old := b.ended(t, 1)
	retry := func(body string) (int, string, batch.Object) {
		w := b.send(t, http.MethodPost, "/v1/batches/"+old.ID+"/retry", body, "Idempotency-Key: again")
		return w.Code, w.Header().Get("Idempotency-Replayed"), decode[batch.Object](t, w.Body)
	}
	code, replayed, first := retry("")
	require.Equal(t, http.StatusOK, code)
	require.Empty(t, replayed)
	require.NoError(t, b.store.DeleteFile(t.Context(), store.DefaultProject, old.InputFileID))
	code, replayed, second := retry("")
	require.Equal(t, http.StatusOK, code, "though the file has gone since")
	require.Equal(t, "true", replayed)
	require.Equal(t, first, second)
	code, _, _ = retry(`{"metadata":null}`)
	require.Equal(t, http.StatusConflict, code, "the key stands for another request")
	require.Len(t, b.batches(t), 2)
}
