package api_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/api"
	"github.com/headrace/headrace/internal/task"
)

const background = `{"model":"m","input":"x","background":true}`

func TestTheProvidersResponseKeepsItsBytesButForTheID(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"x": 1.0e2, "id" : "theirs" ,"background":false, "big":12345678901234567890}` + "\n": `{"x": 1.0e2, "id" : "%s" ,"background":true, "big":12345678901234567890}` + "\n",
		"{\n  \"id\": \"theirs\",\n  \"status\": \"incomplete\"\n}":                            "{\n  \"id\": \"%s\",\n  \"status\": \"incomplete\",\"background\":true\n}",
		`{"output":[{"id":"item","background":1}]}`:                                            `{"output":[{"id":"item","background":1}],"id":"%s","background":true}`,
	} {
		b := setupResponses(t)
		id := b.create(t, background).Get("id").Str
		b.finish(t, id, task.Completed, body, nil)
		w := b.send(t, http.MethodGet, "/v1/responses/"+id+"?include[]=file_search_call.results&whatever=1", "")
		require.Equal(t, fmt.Sprintf(want, id), w.Body.String())
		require.Equal(t, "application/json; charset=utf-8", w.Header().Get("Content-Type"))
		require.Equal(t, w.Body.String(), b.send(t, http.MethodPost, "/v1/responses/"+id+"/cancel", "").Body.String(),
			"what has ended stays as it is")
	}
}

func TestAResponseThatHasNoAnswerSaysWhy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status         task.Status
		body           string
		err            *task.Error
		want, wantCode string
	}{
		{task.Failed, "", &task.Error{Code: "invalid_prompt", Message: "Why"}, "failed", "invalid_prompt"},
		{task.Failed, "", &task.Error{Code: "rate_limit_exceeded", Message: "Why"}, "failed", "rate_limit_exceeded"},
		{task.Failed, `{"error":{}}`, &task.Error{Code: "model_not_found", Message: "Why"}, "failed", "server_error"},
		{task.Failed, "", &task.Error{Code: task.CodeDeadline, Message: "Why"}, "failed", "server_error"},
		{task.Completed, `[1]`, nil, "failed", "server_error"},
		{task.Cancelled, "", &task.Error{Code: task.CodeCancelled, Message: "Why"}, "cancelled", ""},
	} {
		b := setupResponses(t)
		queued := b.create(t, `{"model":"m","input":"x","background":true,"temperature":null,"metadata":{"k": "v"}}`)
		id := queued.Get("id").Str
		b.finish(t, id, c.status, c.body, c.err)
		o := gjson.ParseBytes(b.send(t, http.MethodGet, "/v1/responses/"+id, "").Body.Bytes())
		require.Equal(t, c.want, o.Get("status").Str)
		require.Equal(t, c.wantCode, o.Get("error.code").Str)
		require.Equal(t, c.wantCode != "", o.Get("error.message").Str != "")
		for _, same := range []string{"id", "object", "created_at", "background", "model", "output", "usage", "temperature", "metadata", "tools"} {
			require.Equal(t, queued.Get(same).Raw, o.Get(same).Raw, same)
		}
		require.Equal(t, "1.0", o.Get("temperature").Raw, "null is the default")

		// Temporal forgets what was asked for, and the response is there still.
		clear(b.tasks.inputs)
		o = gjson.ParseBytes(b.send(t, http.MethodGet, "/v1/responses/"+id, "").Body.Bytes())
		require.Equal(t, c.want, o.Get("status").Str)
		require.Equal(t, `{}`, o.Get("metadata").Raw)
	}
}

func TestWhatIsMeantForHeadraceIsCutOutOfTheBody(t *testing.T) {
	t.Parallel()
	b := setupResponses(t)
	o := b.create(t, `{ "background" : true, "model":"m","headrace":{"queue":"q","max_attempts":2}, "input" : [ ],"stream":false}`)
	id := taskOf(t, o.Get("id").Str)
	spec := b.tasks.inputs[id.Workflow()].Tasks[0]
	require.Equal(t, `{ "model":"m", "input" : [ ],"stream":false}`, spec.Body) //nolint:testifylint // the bytes count
	require.Equal(t, "q", spec.Queue)
	require.Equal(t, 2, spec.MaxAttempts)
	require.True(t, spec.Response)
	require.False(t, spec.Stream)
}

func TestBadRequestsForResponsesAreRefused(t *testing.T) {
	t.Parallel()
	b := setupResponses(t)
	for body, param := range map[string]string{
		`{"model":"m","background":true,"store":false}`:               "store",
		`{"model":"m","background":true,"headrace":{"quue":"q"}}`:     "headrace.quue",
		`{"model":"m","background":true,"headrace":{"priority":101}}`: "headrace.priority",
		`{"model":"m","background":true,"headrace":7}`:                "headrace",
		`[]`:                        "",
		`{"background":true`:        "",
		`{"background":true} {}`:    "",
		"{\"background\":\"\xff\"}": "",
	} {
		e := envelope(t, b.send(t, http.MethodPost, "/v1/responses", body))
		require.Equal(t, http.StatusBadRequest, e.Status, body)
		require.Equal(t, "invalid_request_error", e.Type)
		if param != "" {
			require.Equal(t, param, *e.Param)
		}
	}
	require.Empty(t, b.tasks.inputs, "nothing was accepted")
}

// requireNoResponse checks that nothing can be done with an id.
func requireNoResponse(t *testing.T, b *responsesBundle, id string) {
	t.Helper()
	for _, ask := range [][2]string{
		{http.MethodGet, ""}, {http.MethodGet, "?stream=true"}, {http.MethodDelete, ""}, {http.MethodPost, "/cancel"},
	} {
		e := envelope(t, b.send(t, ask[0], "/v1/responses/"+id+ask[1], ""))
		require.Equal(t, http.StatusNotFound, e.Status, ask)
		require.Equal(t, "invalid_request_error", e.Type)
		require.Equal(t, fmt.Sprintf("Response with id '%s' not found.", id), e.Message)
	}
}

func TestIDsThatAreNoResponsesAreNotFound(t *testing.T) {
	t.Parallel()
	b := setupResponses(t)
	w := b.send(t, http.MethodPost, "/v1/tasks", `{"url":"/v1/responses","body":{"model":"m","input":"x"}}`)
	require.Equal(t, http.StatusAccepted, w.Code)
	plain := gjson.GetBytes(w.Body.Bytes(), "id").Str
	id := b.create(t, background).Get("id").Str
	for _, other := range []string{
		plain, strings.Replace(plain, "task_", "resp_", 1), strings.Replace(id, "resp_", "task_", 1), id + "1", id[:len(id)-1] + "1",
		"resp_" + task.NewGroup() + "_0", "resp_0123456789abcdef", "resp_", "x",
	} {
		requireNoResponse(t, b, other)
	}
	require.Equal(t, http.StatusOK, b.send(t, http.MethodGet, "/v1/responses/"+id, "").Code)
}

func TestADeletedResponseIsNotFoundAnyMore(t *testing.T) {
	t.Parallel()
	b := setupResponses(t)
	id, other := b.create(t, background).Get("id").Str, b.create(t, background).Get("id").Str
	b.finish(t, id, task.Completed, `{"id":"theirs"}`, nil)
	b.finish(t, other, task.Completed, `{"id":"theirs"}`, nil)
	w := b.send(t, http.MethodDelete, "/v1/responses/"+id, "")
	require.Equal(t, http.StatusOK, w.Code)
	require.JSONEq(t, fmt.Sprintf(`{"id":%q,"object":"response","deleted":true}`, id), w.Body.String())
	requireNoResponse(t, b, id)
	require.Equal(t, http.StatusNotFound, b.send(t, http.MethodGet, "/v1/tasks/"+taskOf(t, id).String(), "").Code)
	list := gjson.ParseBytes(b.send(t, http.MethodGet, "/v1/tasks", "").Body.Bytes())
	require.Equal(t, `["`+other+`"]`, list.Get("data.#.response_id").Raw)
	require.Equal(t, http.StatusOK, b.send(t, http.MethodGet, "/v1/responses/"+other, "").Code)
}

func TestOnlyWhatWasCreatedAsAStreamIsStreamed(t *testing.T) {
	t.Parallel()
	b := setupResponses(t)
	id := b.create(t, background).Get("id").Str
	for query, param := range map[string]string{
		"stream=true": "stream", "stream=true&starting_after=1": "stream", "stream=true&starting_after=x": "starting_after",
		"stream=true&starting_after=-1": "starting_after", "stream=true&starting_after=": "starting_after",
	} {
		e := envelope(t, b.send(t, http.MethodGet, "/v1/responses/"+id+"?"+query, ""))
		require.Equal(t, http.StatusBadRequest, e.Status, query)
		require.Equal(t, param, *e.Param)
	}
	e := envelope(t, b.send(t, http.MethodGet, "/v1/responses/"+id, `{"stream":true}`))
	require.Equal(t, "stream", *e.Param, "an SDK asks in the body")
	w := b.send(t, http.MethodGet, "/v1/responses/"+id+"?stream=false&starting_after=1", "")
	require.Equal(t, "queued", gjson.GetBytes(w.Body.Bytes(), "status").Str)
}

// TestAPageGoesOnWithinAGroupThatHasGaps lists a group that was ended from
// outside before its first task had a result.
func TestAPageGoesOnWithinAGroupThatHasGaps(t *testing.T) {
	t.Parallel()
	b := setupResponses(t)
	one := `{"url":"/v1/responses","body":{"model":"m","input":"x"}}`
	w := b.send(t, http.MethodPost, "/v1/tasks", "["+one+","+one+","+one+"]")
	require.Equal(t, http.StatusAccepted, w.Code)
	ids := gjson.GetBytes(w.Body.Bytes(), "data.#.id").Array()
	for _, id := range ids[1:] {
		name, ok := task.ParseID(task.Prefix, id.Str)
		require.True(t, ok)
		b.finishTask(t, name, task.Completed, `{}`, nil)
	}
	// A process that has not accepted them, and only knows what is kept.
	b.api = api.New(api.Options{Temporal: b.tasks, Store: b.store, Logger: slog.New(slog.DiscardHandler)})
	for after, want := range map[string]string{
		"": fmt.Sprintf(`[%q,%q]`, ids[1].Str, ids[2].Str), "?after=" + ids[0].Str: fmt.Sprintf(`[%q,%q]`, ids[1].Str, ids[2].Str),
		"?after=" + ids[1].Str: fmt.Sprintf(`[%q]`, ids[2].Str), "?after=" + ids[2].Str: `[]`,
	} {
		list := b.send(t, http.MethodGet, "/v1/tasks"+after, "").Body.Bytes()
		require.Equal(t, want, gjson.GetBytes(list, "data.#.id").Raw, after)
	}
}

// TestATaskIsListedAtOnceWhereItWasAccepted lists while Temporal has not listed
// anything yet.
func TestATaskIsListedAtOnceWhereItWasAccepted(t *testing.T) {
	t.Parallel()
	b := setupResponses(t)
	var ids []string
	for range 3 {
		w := b.send(t, http.MethodPost, "/v1/tasks", `{"url":"/v1/responses","body":{"model":"m","input":"x"}}`)
		require.Equal(t, http.StatusAccepted, w.Code)
		ids = append([]string{gjson.GetBytes(w.Body.Bytes(), "id").Str}, ids...)
	}
	for after, want := range map[string][]string{"": ids, "?after=" + ids[0]: ids[1:]} {
		list := b.send(t, http.MethodGet, "/v1/tasks"+after, "").Body.Bytes()
		var listed []string
		for _, id := range gjson.GetBytes(list, "data.#.id").Array() {
			listed = append(listed, id.Str)
		}
		require.Equal(t, want, listed)
	}
}
