package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/queue"
	"github.com/headrace/headrace/internal/task"
	"github.com/headrace/headrace/workflows"
)

// nothing is what of a queue is not known without a worker.
const nothing = `"live":false,"in_flight":null,"waiting":null,"requests_last_minute":null,"tokens_last_minute":null,"share":null,
	"cooldowns":null,"workers":null}`

func TestSettingsAreReplacedWhileNoWorkerIsUp(t *testing.T) {
	t.Parallel()
	b := setupQueues(t)
	const full = `{"concurrency":5,"rpm":100,"tpm":20000,"paused":true,"weights":{"a":3,"b":1},
		"fallback":{"targets":[{"model":"m"},{"provider":"p"}],"on":["exhausted","throttled"]}}`
	want := `{"object":"queue","name":"q","concurrency":5,"rpm":100,"tpm":20000,"paused":true,"weights":{"a":3,"b":1},
		"fallback":{"targets":[{"model":"m"},{"provider":"p"}],"on":["exhausted","throttled"]},` + nothing
	for range 2 {
		require.JSONEq(t, want, b.ask(t, http.MethodPut, "/v1/queues/q", full).Raw)
		require.JSONEq(t, want, b.ask(t, http.MethodGet, "/v1/queues/q", "").Raw)
	}
	require.Equal(t, workflows.QueueInput{Name: "q"}, b.queues.starts[workflows.QueueID("q")])
	want = `{"object":"queue","name":"q","concurrency":null,"rpm":7,"tpm":null,"paused":false,"weights":null,"fallback":null,` + nothing
	require.JSONEq(t, want, b.ask(t, http.MethodPut, "/v1/queues/q", `{"rpm":7,"tpm":null}`).Raw)
	require.JSONEq(t, want, b.ask(t, http.MethodGet, "/v1/queues/q", "").Raw)
}

func TestAPatchChangesWhatItNames(t *testing.T) {
	t.Parallel()
	for _, works := range []bool{false, true} {
		t.Run(fmt.Sprintf("with a worker %t", works), func(t *testing.T) {
			t.Parallel()
			b := setupQueues(t)
			if works {
				b.queues.work()
			}
			b.ask(t, http.MethodPut, "/v1/queues/q", `{"concurrency":5,"rpm":100,"weights":{"a":3},"fallback":{"targets":[{"model":"m"}],"on":["refused"]}}`)
			for _, step := range []struct{ patch, want string }{
				{`{"rpm":200}`, `{"concurrency":5,"rpm":200,"tpm":null,"paused":false,"weights":{"a":3},"fallback":1}`},
				{`{"paused":true,"concurrency":null}`, `{"concurrency":null,"rpm":200,"tpm":null,"paused":true,"weights":{"a":3},"fallback":1}`},
				{`{}`, `{"concurrency":null,"rpm":200,"tpm":null,"paused":true,"weights":{"a":3},"fallback":1}`},
				{`{"weights":{"b":2},"fallback":null}`, `{"concurrency":null,"rpm":200,"tpm":null,"paused":true,"weights":{"b":2},"fallback":0}`},
				{`{"weights":null,"paused":null}`, `{"concurrency":null,"rpm":200,"tpm":null,"paused":false,"weights":null,"fallback":0}`},
			} {
				for _, o := range []gjson.Result{b.ask(t, http.MethodPatch, "/v1/queues/q", step.patch), b.ask(t, http.MethodGet, "/v1/queues/q", "")} {
					require.JSONEq(t, step.want, fmt.Sprintf(`{"concurrency":%s,"rpm":%s,"tpm":%s,"paused":%s,"weights":%s,"fallback":%s}`,
						o.Get("concurrency").Raw, o.Get("rpm").Raw, o.Get("tpm").Raw, o.Get("paused").Raw, o.Get("weights").Raw,
						map[bool]string{true: "1", false: "0"}[o.Get("fallback").IsObject()]))
					require.Equal(t, works, o.Get("live").Bool())
				}
			}
		})
	}
}

func TestWhatNoWorkerHasSeenYetIsAddedToWhatTheQueueHasPublished(t *testing.T) {
	t.Parallel()
	b := setupQueues(t)
	b.queues.memos[workflows.QueueID("q")] = map[string]any{workflows.MemoSettings: queue.Settings{RPM: 5}}
	for _, o := range []gjson.Result{b.ask(t, http.MethodPatch, "/v1/queues/q", `{"tpm":7}`), b.ask(t, http.MethodGet, "/v1/queues/q", "")} {
		require.JSONEq(t, `[5,7,null]`, fmt.Sprintf("[%s,%s,%s]", o.Get("rpm").Raw, o.Get("tpm").Raw, o.Get("weights").Raw))
	}
	b.queues.buffers = true // for a worker that was killed while it decided
	o := b.ask(t, http.MethodPatch, "/v1/queues/q", `{"tpm":8}`)
	require.EqualValues(t, 8, o.Get("tpm").Int(), "the answer shows what was asked for in any case")
}

func TestAQueueWithAWorkerShowsHowItStands(t *testing.T) {
	t.Parallel()
	b := setupQueues(t)
	b.queues.live[workflows.QueueID("q")] = queue.Status{
		Name: "q", InFlight: queue.Counts{Batch: 2}, Waiting: queue.Counts{Interactive: 1}, RequestsLastMinute: 3, TokensLastMinute: 4, Share: 1,
		Workers: []queue.Worker{{Worker: "w", Label: "host", Permits: 2, InFlight: queue.Counts{Batch: 2}}},
	}
	b.queues.work()
	o := b.ask(t, http.MethodPut, "/v1/queues/q", `{"concurrency":2}`)
	require.True(t, o.Get("live").Bool())
	require.EqualValues(t, 2, o.Get("concurrency").Int())
	o = b.ask(t, http.MethodGet, "/v1/queues/q", "")
	require.JSONEq(t, `{"interactive":0,"batch":2}`, o.Get("in_flight").Raw)
	require.JSONEq(t, `{"interactive":1,"batch":0}`, o.Get("waiting").Raw)
	require.EqualValues(t, 4, o.Get("tokens_last_minute").Int())
	require.Equal(t, "[]", o.Get("cooldowns").Raw)
	require.Equal(t, "host", o.Get("workers.0.name").Str)
}

func TestOnlyTheDefaultQueueIsThereUnasked(t *testing.T) {
	t.Parallel()
	b := setupQueues(t)
	want := `{"object":"queue","name":"default","concurrency":null,"rpm":null,"tpm":null,"paused":false,"weights":null,"fallback":null,` + nothing
	require.JSONEq(t, want, b.ask(t, http.MethodGet, "/v1/queues/default", "").Raw)
	require.JSONEq(t, want, b.ask(t, http.MethodPatch, "/v1/queues/default", "{}").Raw)
	require.Empty(t, b.queues.memos, "nothing is started")
	for _, method := range []string{http.MethodGet, http.MethodPatch} {
		e := envelope(t, b.send(t, method, "/v1/queues/other", "{}"))
		require.Equal(t, http.StatusNotFound, e.Status)
		require.Contains(t, e.Message, "No queue found with name 'other'. Give it settings with PUT /v1/queues/other")
	}
	b.queues.memos[workflows.QueueID("used")] = map[string]any{}
	b.ask(t, http.MethodGet, "/v1/queues/used", "")
	b.temporal.status = enums.WORKFLOW_EXECUTION_STATUS_COMPLETED
	require.Equal(t, http.StatusNotFound, b.send(t, http.MethodGet, "/v1/queues/used", "").Code, "nothing uses it any more")
}

func TestAQueueWhoseSettingsWereTakenAwayIsStillThere(t *testing.T) {
	t.Parallel()
	b := setupQueues(t)
	b.ask(t, http.MethodPut, "/v1/queues/q", `{"rpm":1}`)
	b.temporal.status = enums.WORKFLOW_EXECUTION_STATUS_COMPLETED // by the time that it is looked at
	for _, o := range []gjson.Result{b.ask(t, http.MethodPut, "/v1/queues/q", ""), b.ask(t, http.MethodGet, "/v1/queues/q", "")} {
		require.Equal(t, "null", o.Get("rpm").Raw)
		require.False(t, o.Get("live").Bool())
	}
}

func TestQueuesAreListedByNameAndAtOnce(t *testing.T) {
	t.Parallel()
	b := setupQueues(t)
	names := func() []string {
		o := b.ask(t, http.MethodGet, "/v1/queues", "")
		require.Equal(t, "list", o.Get("object").Str)
		require.False(t, o.Get("has_more").Bool())
		var names []string
		for _, q := range o.Get("data").Array() {
			names = append(names, q.Get("name").Str)
		}
		return names
	}
	require.Equal(t, []string{"default"}, names())
	b.ask(t, http.MethodPut, "/v1/queues/z", `{"rpm":1}`)
	b.ask(t, http.MethodPut, "/v1/queues/a", `{"rpm":1}`)
	require.Equal(t, []string{"a", "default", "z"}, names(), "whatever visibility has by now")
	b.queues.memos[workflows.QueueID("used")] = map[string]any{}
	b.queues.listed = []string{workflows.QueueID("z"), workflows.QueueID("gone"), "stray", workflows.QueueID("used")}
	require.Equal(t, []string{"a", "default", "used", "z"}, names())
	require.NoError(t, b.store.MarkQueue(t.Context(), "marked"))
	require.Equal(t, []string{"a", "default", "marked", "used", "z"}, names())
	for i := range 100 {
		b.ask(t, http.MethodPut, fmt.Sprintf("/v1/queues/n%02d", i), `{"rpm":1}`)
	}
	require.Len(t, names(), 105)
}

func TestWrongSettingsAreRefused(t *testing.T) {
	t.Parallel()
	b := setupQueues(t)
	many := make([]string, 257)
	for i := range many {
		many[i] = fmt.Sprintf(`"p%d":1`, i)
	}
	for body, want := range map[string]struct{ param, message string }{
		`{"concurrency":0}`: {"concurrency", "Invalid value for 'concurrency': expected an integer from 1 to 100000, but got 0. " +
			"Leave it out (in a PATCH: null) for no limit, or set 'paused' to let no call begin."},
		`{"rpm":-1}`:             {"rpm", "but got -1"},
		`{"rpm":100000001}`:      {"rpm", "from 1 to 100000000"},
		`{"tpm":1000000000000}`:  {"tpm", "from 1 to"},
		`{"tpm":1.5}`:            {"tpm", "expected an integer, but got a decimal number"},
		`{"concurrency":"5"}`:    {"concurrency", "expected an integer, but got a string"},
		`{"paused":1}`:           {"paused", "expected a boolean"},
		`{"weights":[]}`:         {"weights", "expected an object"},
		`{"weights":{"a":0}}`:    {"weights.a", "from 1 to 1000"},
		`{"weights":{"a":1001}}`: {"weights.a", "from 1 to 1000"},
		`{"weights":{"a b":1}}`:  {"weights.a b", "Invalid name of a project"},
		`{"weights":{"":1}}`:     {"weights.", "Invalid name of a project"},
		`{"weights":{` + strings.Join(many, ",") + `}}`: {"weights", "at most 256 projects, but got 257"},
		`{"colour":1}`: {"colour", "Unknown parameter"},
	} {
		for _, method := range []string{http.MethodPut, http.MethodPatch} {
			e := envelope(t, b.send(t, method, "/v1/queues/q", body))
			require.Equal(t, http.StatusBadRequest, e.Status, body)
			require.NotNil(t, e.Param, body)
			require.Equal(t, want.param, *e.Param, body)
			require.Contains(t, e.Message, want.message)
		}
	}
	require.Empty(t, b.queues.memos, "nothing was changed")
	for _, name := range []string{"a%20b", "%C3%BC", strings.Repeat("x", 65), "a%2Fb"} {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPatch} {
			e := envelope(t, b.send(t, method, "/v1/queues/"+name, `{"rpm":1}`))
			require.Equal(t, http.StatusBadRequest, e.Status, name)
			require.Contains(t, e.Message, "expected at most 64 letters, digits, '.', '_' and '-'")
		}
	}
}

func TestAChangeWhoseAnswerGotLostIsSentAgain(t *testing.T) {
	t.Parallel()
	b := setupQueues(t)
	b.queues.flaky = 1
	require.EqualValues(t, 3, b.ask(t, http.MethodPut, "/v1/queues/q", `{"rpm":3}`).Get("rpm").Int())
	require.Len(t, b.queues.signals[workflows.QueueID("q")], 2)
}

func TestWithoutTemporalQueuesAreUnavailable(t *testing.T) {
	t.Parallel()
	b := setupQueues(t)
	b.temporal.fail(serviceerror.NewUnavailable("away"))
	for _, path := range []string{"/v1/queues", "/v1/queues/q", "/v1/queues/default"} {
		require.Equal(t, http.StatusServiceUnavailable, b.send(t, http.MethodGet, path, "").Code, path)
	}
	require.Equal(t, http.StatusServiceUnavailable, b.send(t, http.MethodPut, "/v1/queues/q", "{}").Code)
	b.temporal.fail(nil)
	b.ask(t, http.MethodPut, "/v1/queues/q", `{"rpm":3}`)
}

func TestTheQueueTellsThePlaceOfATask(t *testing.T) {
	t.Parallel()
	b := setupQueues(t)
	add := func(name string) (path string, id task.ID) {
		w := b.send(t, http.MethodPost, "/v1/tasks", `{"url":"/v1/embeddings","body":{},"queue":"`+name+`"}`)
		require.Equal(t, http.StatusAccepted, w.Code, "%s", w.Body)
		text := gjson.GetBytes(w.Body.Bytes(), "id").Str
		id, ok := task.ParseID(task.Prefix, text)
		require.True(t, ok)
		return "?task=" + text, id
	}
	b.ask(t, http.MethodPut, "/v1/queues/q", `{"concurrency":1}`)
	asked, id := add("q")
	place := func(name, query string) string {
		return b.ask(t, http.MethodGet, "/v1/queues/"+name+query, "").Get("task").Raw
	}
	require.Empty(t, place("q", ""))
	require.JSONEq(t, `{"id":"`+id.String()+`","position":null}`, place("q", asked))
	waiting := batch.WaitingOn{Reason: batch.ConcurrencyLimit, Since: 1, Position: new(int64(4))}
	b.temporal.memos[id.Workflow()] = map[string]any{workflows.MemoWaiting: []task.Again{{WaitingOn: &waiting}}}
	require.JSONEq(t, `{"id":"`+id.String()+`","position":4}`, place("q", asked))
	require.JSONEq(t, `{"id":"`+id.String()+`","position":null}`, place("default", asked), "it waits in another queue")

	for _, unknown := range []string{"x", task.ID{Group: task.NewGroup()}.String()} {
		e := envelope(t, b.send(t, http.MethodGet, "/v1/queues/q?task="+unknown, ""))
		require.Equal(t, http.StatusNotFound, e.Status)
		require.Contains(t, e.Message, "No task found with id '"+unknown+"'.")
	}
}
