package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/openai"
)

const unknownTask = "task_00000000000000000000000000_0"

func TestEveryEndpointCanBeATask(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for endpoint, body := range map[openai.Endpoint]string{
		openai.ChatCompletions: chatBody("Task of an endpoint", ""),
		openai.Completions:     `{"model":"m","prompt":"Task of an endpoint"}`,
		openai.Embeddings:      `{"model":"m","input":["Task of an endpoint","two"]}`,
		openai.Moderations:     `{"input":"Task of an endpoint"}`,
		openai.Responses:       `{"model":"m","input":"Task of an endpoint"}`,
	} {
		t.Run(string(endpoint), func(t *testing.T) {
			t.Parallel()
			r := s.send(t, http.MethodPost, "/v1/tasks", fmt.Sprintf(`{"url":%q,"body":%s}`, endpoint, body))
			require.Equal(t, http.StatusAccepted, r.status, "%s", r.body)
			id := gjson.GetBytes(r.body, "id").Str
			require.Equal(t, "/v1/tasks/"+id, r.header.Get("Location"))
			o := s.completed(t, id)
			require.Equal(t, string(endpoint), o.Get("url").Str)
			want, err := s.upstream.Answer(endpoint, []byte(body))
			require.NoError(t, err)
			require.Equal(t, string(want), o.Get("result.body").Raw)
			require.EqualValues(t, 200, o.Get("result.status_code").Int())
		})
	}
}

// taskFields are those that a task has at any time.
var taskFields = []string{
	"id", "object", "status", "created_at", "started_at", "finished_at", "url", "queue", "priority", "max_attempts", "timeout",
	"not_before", "deadline", "webhook", "metadata", "attempts", "waiting_on", "usage", "error", "result",
}

func TestATaskTellsAllOfItself(t *testing.T) {
	t.Parallel()
	s, since := shared(t), time.Now().Unix()
	for name, c := range map[string]struct {
		options, queue, timeout string
		priority, attempts      int64
	}{
		"defaults":         {"", "default", "10m0s", 0, 5},
		"null":             {`,"queue":null,"priority":null,"metadata":null,"not_before":null,"deadline":null,"headrace":null`, "default", "10m0s", 0, 5},
		"beside the body":  {`,"priority":-100,"max_attempts":7,"timeout":"90s","deadline":"1h"`, "default", "1m30s", -100, 7},
		"in the extension": {`,"headrace":{"priority":100,"max_attempts":1,"timeout":"1h","deadline":"1h"}`, "default", "1h0m0s", 100, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := s.add(t, chatTask(chatBody("All of itself: "+name, ""), c.options))
			o := s.completed(t, first.Get("id").Str)
			for _, o := range []gjson.Result{first, o} {
				require.Subset(t, keysOf(o.Raw), taskFields)
				require.Regexp(t, `^task_[0-9a-z]{26}_[0-9]+$`, o.Get("id").Str)
				require.Equal(t, "task", o.Get("object").Str)
				require.Equal(t, c.queue, o.Get("queue").Str)
				require.Equal(t, c.timeout, o.Get("timeout").Str)
				require.Equal(t, c.priority, o.Get("priority").Int())
				require.Equal(t, c.attempts, o.Get("max_attempts").Int())
				require.Equal(t, strings.Contains(c.options, `"1h"}`) || strings.Contains(c.options, `"deadline":"1h"`), o.Get("deadline").Int() > since+3500)
				require.GreaterOrEqual(t, o.Get("created_at").Int(), since)
			}
			require.Equal(t, "null", first.Get("result").Raw)
			require.Equal(t, "null", o.Get("error").Raw)
			require.GreaterOrEqual(t, o.Get("started_at").Int(), o.Get("created_at").Int())
			require.GreaterOrEqual(t, o.Get("finished_at").Int(), o.Get("started_at").Int())
			require.Len(t, o.Get("attempts").Array(), 1)
			require.Equal(t, "null", o.Get("attempts.0.error").Raw)
			require.Positive(t, o.Get("usage.total_tokens").Int())
			require.Equal(t, "application/json", o.Get("result.headers.content-type").Str+o.Get("result.headers.Content-Type").Str)
			require.Equal(t, "false", o.Get("result.cached").Raw)
			require.Equal(t, "false", o.Get("result.coalesced").Raw)
		})
	}
}

func TestMetadataComesBack(t *testing.T) {
	t.Parallel()
	s := shared(t)
	id := s.addID(t, chatTask(chatBody("Metadata", ""), `,"metadata":{"user":"17","team":"search"}`))
	require.JSONEq(t, `{"user":"17","team":"search"}`, s.completed(t, id).Get("metadata").Raw)
}

func TestManyTasksCanBePostedAtOnce(t *testing.T) {
	t.Parallel()
	s := shared(t)
	one := func(i int) string {
		return chatTask(chatBody(fmt.Sprintf("One of many %d", i), ""), fmt.Sprintf(`,"metadata":{"n":"%d"}`, i))
	}
	three := []string{one(0), one(1), one(2)}
	for name, c := range map[string]struct{ body, contentType string }{
		"array":              {list(three...), "application/json"},
		"array with blanks":  {" \n[ " + strings.Join(three, " ,\n") + " ]\n", "application/json"},
		"NDJSON":             {strings.Join(three, "\n") + "\n", "application/x-ndjson"},
		"JSON Lines":         {strings.Join(three, "\r\n"), "application/jsonl"},
		"lines without type": {strings.Join(three, "\n"), "application/json"},
		"blank lines":        {"\n" + strings.Join(three, "\n\n") + "\n\n", "application/x-ndjson"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := s.add(t, c.body, "Content-Type: "+c.contentType)
			require.Equal(t, "list", o.Get("object").Str)
			ids := idsOf(o)
			require.Len(t, ids, 3)
			for i, id := range ids {
				o := s.completed(t, id)
				require.Equal(t, fmt.Sprint(i), o.Get("metadata.n").Str)
				require.Equal(t, fmt.Sprintf("Echo: One of many %d", i), o.Get("result.body.choices.0.message.content").Str)
			}
		})
	}
	o := s.add(t, list(one(0)))
	require.Len(t, idsOf(o), 1, "an array of one is answered with a list")
	require.True(t, s.add(t, one(1)+"\n", "Content-Type: application/x-ndjson").Exists())
}

func TestManyTasksAreAcceptedAllOrNone(t *testing.T) {
	t.Parallel()
	s := alone(t)
	good := chatTask(chatBody("Good", ""), "")
	for name, c := range map[string]struct {
		body string
		want refusal
	}{
		"unknown endpoint":   {list(good, good, `{"url":"/v1/nothing","body":{}}`), refusal{status: 400, param: "[2].url", code: "*"}},
		"unknown field":      {list(good, `{"url":"/v1/chat/completions","body":{},"mood":1}`), refusal{status: 400, param: "[1].mood", code: "*"}},
		"nested field":       {list(good, chatTask("{}", `,"headrace":{"priority":"x"}`)), refusal{status: 400, param: "[1].headrace.priority", code: "*"}},
		"no object":          {list(good, `17`), refusal{status: 400, code: "*"}},
		"broken array":       {"[" + good, refusal{status: 400, code: "*"}},
		"too many":           {list(strings.Split(strings.Repeat(good+"\n", 10_000)+good, "\n")...), refusal{status: 400, code: "*"}},
		"a deadline is past": {list(good, chatTask(chatBody("Late", ""), `,"deadline":1700000000`)), refusal{status: 422, param: "[1].deadline", code: "*"}},
	} {
		r := s.send(t, http.MethodPost, "/v1/tasks", c.body)
		e := gjson.GetBytes(r.body, "error")
		require.Equal(t, c.want.status, r.status, "%s: %s", name, r.body)
		require.Equal(t, c.want.param, e.Get("param").Str, "%s: %s", name, r.body)
		require.Equal(t, "invalid_request_error", e.Get("type").Str, "%s: %s", name, r.body)
	}
	require.Empty(t, s.page(t, "/v1/tasks").ids)
	s.completed(t, s.addID(t, good))
	require.EqualValues(t, 1, s.upstream.Stats().Calls)
}

func TestTenThousandTasksCanBePostedAtOnce(t *testing.T) {
	t.Parallel()
	const n = 10_000
	s := alone(t)
	all := make([]string, n)
	for i := range all {
		all[i] = chatTask(chatBody(fmt.Sprintf("One of ten thousand %d", i), ""), "")
	}
	ids := idsOf(s.add(t, list(all...)))
	require.Len(t, ids, n)
	for _, i := range []int{0, 1, 255, 256, 257, 5000, n - 1} {
		o := s.completed(t, ids[i])
		require.Equal(t, fmt.Sprintf("Echo: One of ten thousand %d", i), o.Get("result.body.choices.0.message.content").Str)
	}
	eventually(t, func() bool { return s.upstream.Stats().Succeeded == n }, "not all are called for")
	require.EqualValues(t, n, s.upstream.Stats().Calls)
}
