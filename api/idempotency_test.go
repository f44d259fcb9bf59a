package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/workflows"
)

// createWith creates a batch of a file with an idempotency key.
func (b *testBundle) createWith(t *testing.T, key, file, more string) *httptest.ResponseRecorder {
	t.Helper()
	return b.send(t, http.MethodPost, "/v1/batches", `{"input_file_id":"`+file+chatBatch+more+"}", "Idempotency-Key: "+key)
}

// pins are the keys of all pins of files.
func (b *testBundle) pins(t *testing.T) []string {
	t.Helper()
	var all []string
	for key, err := range b.store.Keys(t.Context(), "files/"+store.DefaultProject+"/pins/") {
		require.NoError(t, err)
		all = append(all, key)
	}
	return all
}

// batches are the ids of all that are marked.
func (b *testBundle) batches(t *testing.T) []string {
	t.Helper()
	var all []string
	for id, err := range b.store.BatchIDs(t.Context(), store.DefaultProject) {
		require.NoError(t, err)
		all = append(all, id)
	}
	return all
}

// end ends a batch as its workflow does.
func (b *testBundle) end(t *testing.T, o batch.Object) batch.Object {
	t.Helper()
	o.Status = openai.Completed
	require.NoError(t, b.store.PutJSON(t.Context(), workflows.Run{Project: store.DefaultProject, Batch: o.ID}.Object(), o))
	require.NoError(t, b.store.UnpinFile(t.Context(), store.DefaultProject, o.InputFileID, o.ID))
	return o
}

func TestARepeatedKeyAnswersWithTheFirstBatch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	file := b.upload(t, "{}")
	first := b.createWith(t, "night 14", file, "")
	require.Equal(t, http.StatusOK, first.Code, "%s", first.Body)
	require.Empty(t, first.Header().Values("Idempotency-Replayed"))
	want := first.Body.String()
	o := decode[batch.Object](t, first.Body)
	require.True(t, openai.ValidID(openai.PrefixBatch, o.ID))

	again := b.createWith(t, "night 14", file, "")
	require.Equal(t, http.StatusOK, again.Code, "%s", again.Body)
	require.Equal(t, "true", again.Header().Get("Idempotency-Replayed"))
	require.JSONEq(t, want, again.Body.String())
	require.Len(t, b.temporal.started, 1)
	require.Equal(t, []string{o.ID}, b.batches(t))
	require.Len(t, b.pins(t), 1)

	other := decode[batch.Object](t, b.createWith(t, "night 15", file, "").Body)
	require.NotEqual(t, o.ID, other.ID)
	require.Less(t, other.ID, o.ID, "the newer batch is listed before the older")
}

func TestARepeatedKeyShowsTheBatchAsItHasBecome(t *testing.T) {
	t.Parallel()
	b := setup(t)
	file := b.upload(t, "{}")
	o := b.end(t, decode[batch.Object](t, b.createWith(t, "k", file, "").Body))
	require.Equal(t, http.StatusOK, b.send(t, http.MethodDelete, "/v1/files/"+file, "").Code)
	again := b.createWith(t, "k", file, "")
	require.Equal(t, "true", again.Header().Get("Idempotency-Replayed"))
	require.Equal(t, o, decode[batch.Object](t, again.Body))
	require.Empty(t, b.pins(t), "what has ended is not pinned again")
}

func TestAKeyIsRefusedForAnotherRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	file := b.upload(t, "{}")
	require.Equal(t, http.StatusOK, b.createWith(t, "k", file, "").Code)
	for _, more := range []string{" ", `,"metadata":{"a":"b"}`} {
		w := b.createWith(t, "k", file, more)
		require.Equal(t, "false", w.Header().Get("X-Should-Retry"))
		e := envelope(t, w)
		require.Equal(t, http.StatusConflict, e.Status)
		require.Equal(t, "idempotency_key_reused", *e.Code)
		require.Nil(t, e.Param)
	}
	require.Len(t, b.temporal.started, 1)
	require.Len(t, b.batches(t), 1)
	require.Len(t, b.pins(t), 1)
}

func TestAKeyThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	file := b.upload(t, "{}")
	for name, key := range map[string]string{
		"empty": "", "space before": " a", "space after": "a ", "too long": strings.Repeat("k", 256),
		"tab": "a\tb", "line break": "a\nb", "delete": "a\x7f", "not ASCII": "schlüssel",
	} {
		e := envelope(t, b.createWith(t, key, file, ""))
		require.Equal(t, http.StatusBadRequest, e.Status, name)
		require.Equal(t, "invalid_idempotency_key", *e.Code, name)
		require.Nil(t, e.Param, name)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/batches", strings.NewReader("{}"))
	r.Header["Idempotency-Key"] = []string{"a", "b"}
	w := httptest.NewRecorder()
	b.api.ServeHTTP(w, r)
	require.Equal(t, "invalid_idempotency_key", *envelope(t, w).Code, "two keys")
	require.Empty(t, b.temporal.memos)
	for _, key := range []string{"k", "~", "a b", `"8e03978e-40d5-43dd-bc93-6894a57f9324"`, strings.Repeat("k", 255)} {
		require.Equal(t, http.StatusOK, b.createWith(t, key, file, "").Code, key)
	}
}

func TestARefusedRequestLeavesItsKeyFree(t *testing.T) {
	t.Parallel()
	b := setup(t)
	file := b.upload(t, "{}")
	require.Equal(t, http.StatusBadRequest, b.createWith(t, "k", file, `,"headrace":{"max_attempts":0}`).Code)
	require.Equal(t, http.StatusBadRequest, b.createWith(t, "k", b.uploadFor(t, "user_data"), "").Code)
	require.Empty(t, b.temporal.memos)
	require.Equal(t, http.StatusOK, b.createWith(t, "k", file, "").Code)
}

// uploadFor uploads a file for something else.
func (b *testBundle) uploadFor(t *testing.T, purpose string) string {
	t.Helper()
	w := b.send(t, http.MethodPost, "/v1/files",
		"--x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\n"+purpose+"\r\n"+
			"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"in.txt\"\r\n\r\n{}\r\n--x--\r\n",
		"Content-Type: multipart/form-data; boundary=x")
	require.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
	return decode[openai.File](t, w.Body).ID
}

func TestRacingRequestsWithOneKeyStartOneBatch(t *testing.T) {
	t.Parallel()
	const racers = 50
	b := setup(t)
	file := b.upload(t, "{}")
	answers := make([]*httptest.ResponseRecorder, racers)
	var wait sync.WaitGroup
	for i := range answers {
		wait.Go(func() { answers[i] = b.createWith(t, "k", file, "") })
	}
	wait.Wait()
	firsts := 0
	for _, w := range answers {
		require.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
		if w.Header().Get("Idempotency-Replayed") == "" {
			firsts++
		}
		o := decode[batch.Object](t, w.Body)
		require.Equal(t, b.temporal.started[o.ID].Object, o, "all are told of what was started")
	}
	require.Equal(t, 1, firsts)
	require.Len(t, b.temporal.started, 1)
	require.Len(t, b.batches(t), 1)
	require.Len(t, b.pins(t), 1)
}

// TestAKeyWhoseClaimantDiedStartsItsBatchWhenRepeated has Temporal fail between
// the claim and the start.
func TestAKeyWhoseClaimantDiedStartsItsBatchWhenRepeated(t *testing.T) {
	t.Parallel()
	b := setup(t)
	file := b.upload(t, "{}")
	b.temporal.batchErr = serviceerror.NewUnavailable("away")
	require.Equal(t, http.StatusServiceUnavailable, b.createWith(t, "k", file, "").Code)
	b.temporal.batchErr = nil
	marked := b.batches(t)
	w := b.createWith(t, "k", file, "")
	require.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
	o := decode[batch.Object](t, w.Body)
	require.Equal(t, []string{o.ID}, marked, "it is the batch that the first request would have made")
	require.Equal(t, o, b.temporal.started[o.ID].Object)
	require.Equal(t, marked, b.batches(t))
	require.Len(t, b.pins(t), 1)
}

func TestAClaimWhoseAnswerGetsLostIsStillTheFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	file := b.upload(t, "{}")
	b.temporal.flaky = 1
	w := b.createWith(t, "k", file, "")
	require.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
	require.Empty(t, w.Header().Values("Idempotency-Replayed"))
	require.Len(t, b.temporal.started, 1)
}

// TestARequestThatComesTooLateLeavesNoPin has a batch start and end between the
// moment when a repeated request finds none and its own start.
func TestARequestThatComesTooLateLeavesNoPin(t *testing.T) {
	t.Parallel()
	b := setup(t)
	file := b.upload(t, "{}")
	b.temporal.batchErr = serviceerror.NewUnavailable("away")
	require.Equal(t, http.StatusServiceUnavailable, b.createWith(t, "k", file, "").Code)
	b.temporal.batchErr = nil
	b.temporal.overtake = func(in workflows.BatchInput) { b.end(t, in.Object) }
	w := b.createWith(t, "k", file, "")
	require.Equal(t, openai.Completed, decode[batch.Object](t, w.Body).Status)
	require.Equal(t, http.StatusOK, b.send(t, http.MethodDelete, "/v1/files/"+file, "").Code)
	_, err := b.store.OpenFileData(t.Context(), store.DefaultProject, file, 0, -1)
	require.ErrorIs(t, err, store.ErrNotFound)
}
