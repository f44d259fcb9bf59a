package api_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/task"
	"github.com/headrace/headrace/internal/webhook"
	"github.com/headrace/headrace/workflows"
)

// things are the ids of one of each thing that a project has.
type things struct{ file, batch, delivery, task, response string }

// own makes one of each thing for the project shop.
func (b *keysBundle) own(t *testing.T) things {
	t.Helper()
	var o things
	o.file = b.upload(t, "{}", b.header[keyShop])
	o.batch = b.made(t, keyShop, http.MethodPost, "/v1/batches", `{"input_file_id":"`+o.file+chatBatch+`}`).Get("id").Str
	o.task = b.made(t, keyShop, http.MethodPost, "/v1/tasks", `{"url":"/v1/embeddings","body":{"model":"m","input":"hush"}}`).Get("id").Str
	o.response = b.made(t, keyShop, http.MethodPost, "/v1/responses", `{"model":"m","input":"hush","background":true,"stream":false}`).Get("id").Str
	d := newDelivery(o.batch)
	delivered(&d)
	require.NoError(t, b.store.SaveDelivery(t.Context(), "shop", d))
	o.delivery = d.ID
	return o
}

// unknown are ids of things that there are not.
func unknown() things {
	id := task.ID{Group: task.NewGroup()}
	return things{
		openai.NewID(openai.PrefixFile), openai.NewID(openai.PrefixBatch), openai.NewID(webhook.PrefixDelivery), id.String(), id.Response(),
	}
}

// of is the id of the thing that a route is about, "" for none.
func (o things) of(path string) string {
	if !strings.Contains(path, ":id") {
		return ""
	}
	for prefix, id := range map[string]string{
		"/v1/files/": o.file, "/v1/batches/": o.batch, "/v1/webhooks/deliveries/": o.delivery, "/v1/tasks/": o.task, "/v1/responses/": o.response,
	} {
		if strings.HasPrefix(path, prefix) {
			return id
		}
	}
	return "unknown: tell things.of of this route"
}

// leave leaves things as they are.
func (*keysBundle) leave(*testing.T, things) {}

// end ends the batch, the task and the response.
func (b *keysBundle) end(t *testing.T, o things) {
	t.Helper()
	ended := batch.Object{Batch: openai.Batch{ID: o.batch, Status: openai.Cancelled, InputFileID: o.file}}
	ended.RequestCounts.Total = 1
	require.NoError(t, b.store.PutJSON(t.Context(), workflows.Run{Project: "shop", Batch: o.batch}.Object(), ended))
	id, ok := task.ParseID(task.Prefix, o.task)
	require.True(t, ok)
	b.finishTask(t, id, task.Completed, `{"object":"hush"}`, nil)
	b.finish(t, o.response, task.Completed, `{"object":"hush"}`, nil)
}

// shortCut has the task and the response run in the API's own process.
func (b *keysBundle) shortCut(t *testing.T, o things) {
	t.Helper()
	b.runner = &shortcut{project: "shop", objects: map[task.ID]task.Object{}}
	id, _ := task.ParseID(task.Prefix, o.task)
	b.runner.objects[id] = task.New(id, task.Spec{URL: "/v1/embeddings"}, 1)
	id = taskOf(t, o.response)
	b.runner.objects[id] = task.New(id, task.Spec{URL: "/v1/responses", Response: true, Stream: true}, 1)
	b.serve(b.runner)
}

// answered is all of an answer, with one id left out.
func answered(w *httptest.ResponseRecorder, id string) (status int, header http.Header, body string) {
	header = w.Header().Clone()
	header.Del("X-Request-Id")
	header.Del("Content-Length")
	for _, values := range header {
		for i := range values {
			values[i] = strings.ReplaceAll(values[i], id, "ID")
		}
	}
	return w.Code, header, strings.ReplaceAll(w.Body.String(), id, "ID")
}

// queries are what some routes can be asked beside.
var queries = map[string][]string{
	"GET /v1/tasks/:id":     {"?wait=1s"},
	"GET /v1/responses/:id": {"?stream=true", "?stream=true&starting_after=0"},
}

// TestThingsOfAnotherProjectAreAsIfTheyWereNot tries every route there is with
// the ids of another project's things, however these stand.
func TestThingsOfAnotherProjectAreAsIfTheyWereNot(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*keysBundle, *testing.T, things){
		"known to Temporal": (*keysBundle).leave,
		"ended":             (*keysBundle).end,
		"in this process":   (*keysBundle).shortCut,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupKeys(t)
			theirs, none := b.own(t), unknown()
			prepare(b, t, theirs)
			before := b.seen(t, theirs)
			tried := 0
			for _, route := range b.api.Routes() {
				if theirs.of(route.Path) == "" {
					continue
				}
				for _, query := range append([]string{""}, queries[route.Method+" "+route.Path]...) {
					b.sameAsNothing(t, route.Method, route.Path+query, theirs.of(route.Path), none.of(route.Path))
					tried++
				}
			}
			require.Greater(t, tried, 20)
			b.sameAsNothing(t, http.MethodGet, "/v1/queues/default?task=:id", theirs.task, none.task)
			require.Empty(t, b.temporal.asked, "no workflow hears of it")
			if b.runner != nil {
				require.Empty(t, b.runner.cut)
			}
			require.Equal(t, before, b.seen(t, theirs), "nothing has become of them")
		})
	}
}

// sameAsNothing requires the answer to be the same whether the rival asks for a
// thing of shop or for none.
func (b *keysBundle) sameAsNothing(t *testing.T, method, path, theirs, none string) {
	t.Helper()
	at := func(id string) string { return strings.Replace(path, ":id", id, 1) }
	status, header, body := answered(b.as(t, keyRival, method, at(theirs), "{}"), theirs)
	require.Equal(t, http.StatusNotFound, status, "%s %s: %s", method, path, body)
	noStatus, noHeader, noBody := answered(b.as(t, keyRival, method, at(none), "{}"), none)
	require.Equal(t, noStatus, status, "%s %s", method, path)
	require.Equal(t, noHeader, header, "%s %s", method, path)
	require.Equal(t, noBody, body, "%s %s", method, path)
	require.NotContains(t, body, "hush")
}

// seen is what their owner sees of things.
func (b *keysBundle) seen(t *testing.T, o things) []string {
	t.Helper()
	var all []string
	for _, path := range []string{
		"/v1/files/" + o.file, "/v1/files/" + o.file + "/content", "/v1/batches/" + o.batch, "/v1/batches/" + o.batch + "/results",
		"/v1/webhooks/deliveries/" + o.delivery, "/v1/tasks/" + o.task, "/v1/responses/" + o.response,
		"/v1/files", "/v1/batches", "/v1/tasks", "/v1/webhooks/deliveries",
	} {
		w := b.as(t, keyShop, http.MethodGet, path, "")
		require.Equal(t, http.StatusOK, w.Code, "%s: %s", path, w.Body)
		all = append(all, w.Body.String())
	}
	return all
}

func TestAListingHasWhatIsItsProjectsAlone(t *testing.T) {
	t.Parallel()
	b := setupKeys(t)
	theirs, ours := b.own(t), b.upload(t, "{}", b.header[keyRival])
	ourTask := b.made(t, keyRival, http.MethodPost, "/v1/tasks", `{"url":"/v1/embeddings","body":{}}`).Get("id").Str
	for path, want := range map[string][]string{
		"/v1/files": {ours}, "/v1/batches": {}, "/v1/tasks": {ourTask}, "/v1/webhooks/deliveries": {},
		"/v1/webhooks/deliveries?subject=" + theirs.batch: {}, "/v1/batches?after=" + unknown().batch: {},
		"/v1/tasks?status=queued": {ourTask}, "/v1/tasks?after=" + theirs.task: {},
	} {
		got := []string{}
		for _, o := range b.made(t, keyRival, http.MethodGet, path, "").Get("data.#.id").Array() {
			got = append(got, o.Str)
		}
		if strings.Contains(path, "after=task_") {
			got = slices.DeleteFunc(got, func(id string) bool { return id == ourTask }) // either may be the newer one
		}
		require.Equal(t, want, got, path)
	}
	// Another process knows no group from having started it.
	b.serve(nil)
	described := b.temporal.described()
	require.Len(t, b.made(t, keyRival, http.MethodGet, "/v1/tasks", "").Get("data").Array(), 1)
	require.Equal(t, described+1, b.temporal.described(), "of another project's groups Temporal is not even asked")
}

// A batch of an input that is not there is accepted and fails, as OpenAI has it.
// One of another project's input is no different.
func TestAFileOfAnotherProjectIsNoInput(t *testing.T) {
	t.Parallel()
	b := setupKeys(t)
	theirs := b.own(t)
	create := func(file string) (batch.Object, workflows.BatchInput) {
		id := b.made(t, keyRival, http.MethodPost, "/v1/batches", `{"input_file_id":"`+file+chatBatch+`}`).Get("id").Str
		in := b.temporal.started[id]
		require.Equal(t, "rival", in.Run.Project)
		return in.Object, in
	}
	_, with := create(theirs.file)
	_, without := create(unknown().file)
	require.True(t, with.InputMissing)
	require.True(t, without.InputMissing)
	require.Equal(t, http.StatusOK, b.as(t, keyShop, http.MethodDelete, "/v1/files/"+theirs.file, "").Code)
}

func TestAnIdempotencyKeyIsItsProjectsOwn(t *testing.T) {
	t.Parallel()
	b := setupKeys(t)
	const key = "Idempotency-Key: night 14"
	for _, c := range []struct{ path, body string }{
		{"/v1/tasks", `{"url":"/v1/embeddings","body":{"input":"hush"}}`},
		{"/v1/responses", `{"model":"m","input":"hush","background":true}`},
		{"/v1/batches", `{"input_file_id":"` + unknown().file + chatBatch + `}`},
	} {
		key := key + c.path
		theirs := b.as(t, keyShop, http.MethodPost, c.path, c.body, key)
		require.Less(t, theirs.Code, http.StatusMultipleChoices, "%s", theirs.Body)
		ours := b.as(t, keyRival, http.MethodPost, c.path, c.body, key)
		require.Less(t, ours.Code, http.StatusMultipleChoices, "%s", ours.Body)
		require.Empty(t, ours.Header().Get("Idempotency-Replayed"))
		require.NotEqual(t, gjson.Get(theirs.Body.String(), "id").Str, gjson.Get(ours.Body.String(), "id").Str)
		other := b.as(t, keyRival, http.MethodPost, c.path, c.body+" ", key)
		require.Equal(t, http.StatusConflict, other.Code, "the project's own use of the key counts")
		again := b.as(t, submit, http.MethodPost, c.path, c.body, key)
		require.Equal(t, "true", again.Header().Get("Idempotency-Replayed"), "another key of the same project")
		require.Equal(t, gjson.Get(theirs.Body.String(), "id").Str, gjson.Get(again.Body.String(), "id").Str)
	}
}

func TestAnEventIsSentAgainAsItsProjects(t *testing.T) {
	t.Parallel()
	b := setupKeys(t)
	o := b.own(t)
	w := b.as(t, operate, http.MethodPost, "/v1/webhooks/deliveries/"+o.delivery+"/redeliver", "")
	require.Equal(t, http.StatusAccepted, w.Code)
	location := w.Header().Get("Location")
	require.Regexp(t, `^/v1/webhooks/deliveries/whd_`, location)
	require.Equal(t, http.StatusOK, b.as(t, read, http.MethodGet, location, "").Code)
	require.Equal(t, http.StatusNotFound, b.as(t, keyRival, http.MethodGet, location, "").Code)
}
