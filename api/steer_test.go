package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/workflows"
)

func TestCommandsGoToTheWorkflowAndTheAnswerShowsThem(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.created(t, "")
	path := "/v1/batches/" + o.ID
	for _, c := range []struct {
		method, path, body string
		command            batch.Command
		paused             bool
	}{
		{http.MethodPost, path + "/pause", "", batch.Pause(), true},
		{http.MethodPost, path + "/resume", "{}", batch.Resume(), false},
		{http.MethodPatch, path, `{"headrace":{"max_concurrency":10000,"queue":"q","priority":"interactive"}}`, batch.Command{
			MaxConcurrency: new(10000), Queue: new("q"), Priority: new(0),
		}, false},
		{http.MethodPatch, path, `{"completion_window":"2d","headrace":{"queue":"","priority":-100}}`, batch.Command{
			CompletionWindow: new("2d"), ExpiresAt: new(o.CreatedAt + 2*24*3600), Queue: new(""), Priority: new(-100),
		}, false},
		{http.MethodPatch, path, `{"completion_window":"1s"}`, batch.Command{
			CompletionWindow: new("1s"), ExpiresAt: new(o.CreatedAt + 1),
		}, false},
	} {
		b.temporal.asked, b.temporal.said = nil, nil
		w := b.send(t, c.method, c.path, c.body)
		require.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
		require.Equal(t, []string{"signal " + workflows.SignalCommand}, b.temporal.asked)
		require.Equal(t, []any{c.command}, b.temporal.said)
		got := decode[batch.Object](t, w.Body)
		require.Equal(t, c.paused, got.Headrace.Paused)
		require.Equal(t, c.paused, got.Headrace.WaitingOn != nil)
		if c.command.ExpiresAt != nil {
			require.Equal(t, *c.command.ExpiresAt, *got.ExpiresAt)
			require.Equal(t, *c.command.CompletionWindow, got.CompletionWindow)
		}
		if c.command.MaxConcurrency != nil {
			require.Equal(t, 10000, got.Headrace.MaxConcurrency)
			require.Equal(t, "q", got.Headrace.Queue)
			require.Zero(t, *got.Headrace.Priority)
		}
	}
	b.temporal.asked = nil
	require.Equal(t, http.StatusOK, b.send(t, http.MethodPatch, path, `{"completion_window":null,"headrace":{"queue":null}}`).Code)
	require.Empty(t, b.temporal.asked, "nothing is to be changed")
}

func TestWrongCommandsAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	path := "/v1/batches/" + b.created(t, "").ID
	for body, param := range map[string]string{
		`{"metadata":{}}`:                               "metadata",
		`{"headrace":{"max_attempts":3}}`:               "headrace.max_attempts",
		`{"headrace":{"max_concurrency":0}}`:            "headrace.max_concurrency",
		`{"headrace":{"max_concurrency":10001}}`:        "headrace.max_concurrency",
		`{"headrace":{"priority":101}}`:                 "headrace.priority",
		`{"headrace":{"priority":"urgent"}}`:            "headrace.priority",
		`{"headrace":{"queue":"a/b"}}`:                  "headrace.queue",
		`{"completion_window":"366d"}`:                  "completion_window",
		`{"completion_window":7}`:                       "completion_window",
		`{"completion_window":"1h","headrace":{"x":1}}`: "headrace.x",
	} {
		e := envelope(t, b.send(t, http.MethodPatch, path, body))
		require.Equal(t, http.StatusBadRequest, e.Status)
		require.Equal(t, param, *e.Param, body)
	}
	for _, verb := range []string{"/pause", "/resume"} {
		require.Equal(t, "now", *envelope(t, b.send(t, http.MethodPost, path+verb, `{"now":true}`)).Param)
	}
	require.Empty(t, b.temporal.asked)
	require.Equal(t, http.StatusNotFound, b.send(t, http.MethodPost, "/v1/batches/batch_00000000000000000000000000/pause", "").Code)
}

func TestABatchThatEndsOrHasEndedTakesNoCommands(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, status := range []openai.Status{
		openai.Finalizing, openai.Cancelling, openai.Cancelled, openai.Completed, openai.Failed, openai.Expired,
	} {
		o := b.created(t, "")
		o.Status = status
		if b.temporal.memos[o.ID][workflows.MemoBatch] = o; status.Final() {
			require.NoError(t, b.store.PutJSON(t.Context(), workflows.Run{Project: store.DefaultProject, Batch: o.ID}.Object(), o))
		}
		for path, method := range map[string]string{"/pause": http.MethodPost, "/resume": http.MethodPost, "": http.MethodPatch} {
			w := b.send(t, method, "/v1/batches/"+o.ID+path, "")
			e := envelope(t, w)
			require.Equal(t, http.StatusConflict, e.Status, status)
			require.Contains(t, e.Message, string(status))
			require.Equal(t, "false", w.Header().Get("X-Should-Retry"))
		}
	}
	closed := b.created(t, "")
	closed.ExpiresAt = new(time.Now().Unix() - 1)
	b.temporal.memos[closed.ID][workflows.MemoBatch] = closed
	require.Contains(t, envelope(t, b.send(t, http.MethodPost, "/v1/batches/"+closed.ID+"/pause", "")).Message, "has closed")

	id := b.created(t, "").ID
	b.temporal.gone = serviceerror.NewNotFound("workflow execution already completed")
	e := envelope(t, b.send(t, http.MethodPost, "/v1/batches/"+id+"/pause", ""))
	require.Equal(t, http.StatusConflict, e.Status, "it ends while the command is on its way")
}

func TestWhatLanesWaitForDoesNotHideAPause(t *testing.T) {
	t.Parallel()
	o := batch.Object{}.Obey(batch.Pause(), 100)
	lane := batch.Progress{InFlight: 2, WaitingOn: &batch.WaitingOn{Reason: batch.RateLimited, Since: 1}}
	o = o.Watch([]batch.Progress{lane})
	require.Equal(t, batch.Paused, o.Headrace.WaitingOn.Reason)
	require.Equal(t, 2, o.Headrace.InFlight)
	require.Equal(t, int64(100), o.Obey(batch.Pause(), 200).Headrace.WaitingOn.Since, "it has been paused since then")
	require.Nil(t, o.Obey(batch.Resume(), 300).Headrace.WaitingOn)
	require.False(t, o.Unpaused().Headrace.Paused)
}

func TestABatchWithAWrongFallbackIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	file := b.upload(t, "{}")
	w := b.send(t, http.MethodPost, "/v1/batches", `{"input_file_id":"`+file+chatBatch+`,"headrace":{"fallback":{"targets":[{"model":"m"}]}}}`)
	e := envelope(t, w)
	require.Equal(t, http.StatusBadRequest, e.Status)
	require.Equal(t, "headrace.fallback.on", *e.Param)
}

func TestTasksTakePrioritiesByNameAndFallbacks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const call = `{"url":"/v1/chat/completions","body":{"model":"m","messages":[]}`
	for more, want := range map[string]int{"": 0, `,"priority":"interactive"`: 0, `,"headrace":{"priority":"batch"}`: -50, `,"priority":7`: 7} {
		specs, _, err := b.api.ParseTasks("application/json", []byte(call+more+"}"))
		require.NoError(t, err)
		require.Equal(t, want, specs[0].Priority)
		require.True(t, specs[0].Fallback.IsZero())
	}
	specs, _, err := b.api.ParseTasks("application/json", []byte(call+`,"fallback":{"targets":[{"provider":"p"}],"on":["exhausted","transient"]}}`))
	require.NoError(t, err)
	require.Equal(t, batch.Fallback{Targets: []batch.Target{{Provider: "p"}}, On: []string{"exhausted", "transient"}}, specs[0].Fallback)
}
