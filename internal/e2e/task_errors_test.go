package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

func TestWrongTasksAreRefusedByTheNameOfWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for body, param := range map[string]string{
		`{}`:                                                 "url",
		`{"body":{}}`:                                        "url",
		`{"url":null,"body":{}}`:                             "url",
		`{"url":7,"body":{}}`:                                "url",
		`{"url":"","body":{}}`:                               "url",
		`{"url":"/v1/files","body":{}}`:                      "url",
		`{"url":"chat","body":{}}`:                           "url",
		`{"url":"ftp://a.example/","body":{}}`:               "url",
		`{"url":"/v1/chat/completions"}`:                     "body",
		`{"url":"/v1/chat/completions","body":null}`:         "body",
		`{"url":"/v1/chat/completions","body":"text"}`:       "body",
		`{"url":"/v1/chat/completions","body":[1]}`:          "body",
		chatTask("{}", `,"method":"POST"`):                   "method",
		chatTask("{}", `,"headers":{"a":"b"}`):               "headers",
		chatTask("{}", `,"queue":7`):                         "queue",
		chatTask("{}", `,"priority":101`):                    "priority",
		chatTask("{}", `,"priority":-101`):                   "priority",
		chatTask("{}", `,"priority":1.5`):                    "priority",
		chatTask("{}", `,"priority":"high"`):                 "priority",
		chatTask("{}", `,"max_attempts":0`):                  "max_attempts",
		chatTask("{}", `,"max_attempts":101`):                "max_attempts",
		chatTask("{}", `,"timeout":"-1s"`):                   "timeout",
		chatTask("{}", `,"timeout":10`):                      "timeout",
		chatTask("{}", `,"timeout":"25h"`):                   "timeout",
		chatTask("{}", `,"not_before":"soon"`):               "not_before",
		chatTask("{}", `,"not_before":true`):                 "not_before",
		chatTask("{}", `,"deadline":"2026-13-40T00:00:00Z"`): "deadline",
		chatTask("{}", `,"webhook":"nowhere"`):               "webhook",
		chatTask("{}", `,"webhook":7`):                       "webhook",
		chatTask("{}", `,"metadata":{"a":1}`):                "metadata.a",
		chatTask("{}", `,"metadata":"a"`):                    "metadata",
		chatTask("{}", `,"mood":"good"`):                     "mood",
		chatTask("{}", `,"headrace":{"mood":"good"}`):        "headrace.mood",
		chatTask("{}", `,"headrace":{"priority":1000}`):      "headrace.priority",
		chatTask("{}", `,"headrace":{"coalesce":"yes"}`):     "headrace.coalesce",
		chatTask("{}", `,"headrace":{"cache":"for ever"}`):   "headrace.cache",
		chatTask("{}", `,"headrace":7`):                      "headrace",
	} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			r := s.send(t, http.MethodPost, "/v1/tasks", body)
			require.Equal(t, http.StatusBadRequest, r.status, "%s", r.body)
			e := gjson.GetBytes(r.body, "error")
			require.Equal(t, param, e.Get("param").Str, "%s", r.body)
			require.Equal(t, "invalid_request_error", e.Get("type").Str)
			require.NotEmpty(t, e.Get("message").Str)
		})
	}
	for _, body := range []string{``, `nonsense`, `"text"`, `7`, `{"url":`, `{"url":"/v1/chat/completions","body":{}} {`} {
		r := s.send(t, http.MethodPost, "/v1/tasks", body)
		require.Equal(t, http.StatusBadRequest, r.status, "%q: %s", body, r.body)
		require.Equal(t, "invalid_request_error", gjson.GetBytes(r.body, "error.type").Str)
	}
}

func TestADeadlineThatHasPassedIsRefused(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, deadline := range []string{`1700000000`, `"2020-01-01T00:00:00Z"`, `"1h","not_before":"2h"`} {
		r := s.send(t, http.MethodPost, "/v1/tasks", chatTask(chatBody("Late", ""), `,"deadline":`+deadline))
		require.Equal(t, http.StatusUnprocessableEntity, r.status, "%s", r.body)
		require.Equal(t, "deadline", gjson.GetBytes(r.body, "error.param").Str)
	}
}

func TestABodyBeyondTheLimitIsRefused(t *testing.T) {
	t.Parallel()
	s := shared(t)
	large := func(n int) string { return chatBody("large", `,"padding":"`+strings.Repeat("x", n)+`"`) }
	r := s.send(t, http.MethodPost, "/v1/tasks", chatTask(large(32<<20), ""))
	require.Equal(t, http.StatusRequestEntityTooLarge, r.status, "%.300s", r.body)
	body := large(4 << 20)
	o := s.completed(t, s.addID(t, chatTask(body, "")))
	require.Equal(t, 1, s.upstream.Calls([]byte(body)))
	require.Equal(t, "Echo: large", o.Get("result.body.choices.0.message.content").Str)
}

func TestTasksThatDoNotExistAreNotFound(t *testing.T) {
	t.Parallel()
	s := shared(t)
	known := s.addID(t, chatTask(chatBody("Known", ""), ""))
	group := known[:strings.LastIndex(known, "_")]
	for _, id := range []string{unknownTask, "task_abc", "x", "..%2F..%2Fsecret", group, group + "_999999", group + "_-1", group + "_00", unknownBatch} {
		for _, w := range []wrong{
			{method: http.MethodGet, path: "/v1/tasks/" + id},
			{method: http.MethodGet, path: "/v1/tasks/" + id + "?wait=1s"},
			{method: http.MethodPost, path: "/v1/tasks/" + id + "/cancel"},
			{method: http.MethodGet, path: "/v1/tasks/" + id + "/events"},
		} {
			r := s.send(t, w.method, w.path, "")
			require.Equal(t, http.StatusNotFound, r.status, "%s %s: %s", w.method, w.path, r.body)
			require.Equal(t, "invalid_request_error", gjson.GetBytes(r.body, "error.type").Str)
		}
	}
}

func TestAWrongWaitIsRefused(t *testing.T) {
	t.Parallel()
	s := shared(t)
	id := s.addID(t, chatTask(chatBody("Waited for", ""), `,"not_before":"1h"`))
	defer s.cancelTask(t, id)
	for _, wait := range []string{"soon", "-1s", "%20"} {
		r := s.send(t, http.MethodGet, "/v1/tasks/"+id+"?wait="+wait, "")
		require.Equal(t, http.StatusBadRequest, r.status, "%s: %s", wait, r.body)
		require.Equal(t, "wait", gjson.GetBytes(r.body, "error.param").Str)
	}
}

func TestAnAnswerOfThe400sFailsATaskAtOnce(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, status := range []int{400, 404, 413, 422} {
		body := directed(fmt.Sprintf("Refused %d", status), fmt.Sprintf("status=%d", status))
		before := s.upstream.Calls([]byte(body))
		o := s.ended(t, s.addID(t, chatTask(body, "")))
		require.Equal(t, "failed", o.Get("status").Str, "%s", o.Raw)
		require.EqualValues(t, status, o.Get("result.status_code").Int())
		require.NotEmpty(t, o.Get("result.body.error.message").Str)
		require.Len(t, o.Get("attempts").Array(), 1)
		require.EqualValues(t, status, o.Get("attempts.0.error.status_code").Int())
		require.Equal(t, before+1, s.upstream.Calls([]byte(body)))
	}
}

func TestAnAnswerThatIsNoJSONIsAString(t *testing.T) {
	t.Parallel()
	s := shared(t)
	o := s.ended(t, s.addID(t, chatTask(directed("A web page", "html;status=404"), "")))
	require.Equal(t, "failed", o.Get("status").Str, "%s", o.Raw)
	require.Equal(t, gjson.String, o.Get("result.body").Type)
	require.Contains(t, strings.ToLower(o.Get("result.body").Str), "<html")
}

func TestFailuresThatPassAreTriedAgainAndLogged(t *testing.T) {
	t.Parallel()
	s := shared(t)
	body := directed(fmt.Sprintf("Fails twice from %d on", time.Now().UnixNano()), "status=500;fail=2")
	o := s.completed(t, s.addID(t, chatTask(body, `,"queue":"failing-twice"`)))
	attempts := o.Get("attempts").Array()
	require.Len(t, attempts, 3)
	for _, a := range attempts[:2] {
		require.EqualValues(t, 500, a.Get("error.status_code").Int())
		require.NotEmpty(t, a.Get("error.kind").Str)
		require.NotEmpty(t, a.Get("error.message").Str)
		require.Positive(t, a.Get("started_at").Int())
	}
	require.Equal(t, "null", attempts[2].Get("error").Raw)
}

func TestATaskFailsAfterItsLastAttempt(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for name, directive := range map[string]string{"errors": "status=500", "cut off": "cut", "no JSON": "half", "a web page": "html"} {
		body := directed(fmt.Sprintf("Never succeeds: %s, since %d", name, time.Now().UnixNano()), directive)
		o := s.ended(t, s.addID(t, chatTask(body, `,"max_attempts":2,"queue":"failing-`+strings.ReplaceAll(name, " ", "-")+`"`)))
		require.Equal(t, "failed", o.Get("status").Str, "%s: %s", name, o.Raw)
		require.Len(t, o.Get("attempts").Array(), 2, name)
		require.Equal(t, 2, s.upstream.Calls([]byte(body)), name)
		require.True(t, o.Get("error.message").Str != "" || o.Get("result.status_code").Int() > 0, "%s: %s", name, o.Raw)
	}
}

func TestATimeoutBoundsOneCall(t *testing.T) {
	t.Parallel()
	s := shared(t)
	begun := time.Now()
	o := s.ended(t, s.addID(t, chatTask(directed("Stalls", "stall"), `,"timeout":"1s","max_attempts":2,"queue":"stalling"`)))
	require.Equal(t, "failed", o.Get("status").Str, "%s", o.Raw)
	require.GreaterOrEqual(t, time.Since(begun), 2*time.Second)
	attempts := o.Get("attempts").Array()
	require.Len(t, attempts, 2)
	for _, a := range attempts {
		require.GreaterOrEqual(t, a.Get("duration_ms").Int(), int64(1000))
	}
}
