package e2e_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

const untouchedMessages = `"messages":[{"role":"user","content":"Untouched task"}]`

// untouchedBodies have what libraries like to tidy up.
var untouchedBodies = []string{
	`{"model":"m",` + untouchedMessages + `,"temperature":0,"top_p":0,"n":1,"logprobs":false,"store":false}`,
	`{"model":"m",` + untouchedMessages + `,"stop":"END"}`,
	`{"model":"m",` + untouchedMessages + `,"seed":123456789012345678901234567890,"x":1e400,"y":-0,"z":1.10}`,
	`{"z":1,` + untouchedMessages + `,"a":{"c":1,"b":2},"model":"m"}`,
	`{"model":"m",` + untouchedMessages + `,"unknown":{"deep":[{"er":null}]},"null":null,"empty":{},"list":[]}`,
	"{ \"model\" :  \"m\" ,\n\t" + untouchedMessages + " ,\r\n \"spaces\" : [ 1 , 2 ]\n}",
	`{"model":"m",` + untouchedMessages + `,"twice":1,"twice":2}`,
	`{"model":"m",` + untouchedMessages + `,"html":"<a href=\"x\">&</a>","slash":"\/","u":"\u003c\u00e9é\ud83d\ude00😀\u0000"}`,
	`{"model":"o1-mini","max_tokens":5,"temperature":1.5,` + untouchedMessages + `}`,
	`{"model":"m","user":"sim:pretty",` + untouchedMessages + `}`,
}

func TestBodiesAndAnswersOfTasksPassUntouched(t *testing.T) {
	t.Parallel()
	up := shared(t).upstream
	booth := newBooth(t, up.Simulator)
	_, url := dev(t, t.TempDir(), booth.url)
	s := &system{url: url, upstream: up}
	for name, post := range map[string]func() []string{
		"one by one": func() (ids []string) {
			for _, body := range untouchedBodies {
				ids = append(ids, s.addID(t, chatTask(body, "")))
			}
			return ids
		},
		"as an array": func() []string {
			tasks := make([]string, len(untouchedBodies))
			for i, body := range untouchedBodies {
				tasks[i] = chatTask(body, "")
			}
			return idsOf(s.add(t, list(tasks...)))
		},
	} {
		before := len(booth.seen())
		for i, id := range post() {
			o := s.completed(t, id)
			want := booth.answer(untouchedBodies[i])
			require.Contains(t, want, "Echo: Untouched task")
			require.Equal(t, want, o.Get("result.body").Raw, "%s: %s", name, untouchedBodies[i])
		}
		require.ElementsMatch(t, untouchedBodies, booth.seen()[before:], name)
	}
}

// TestPassThroughBodiesAndAnswersAreUntouched looks at the door that answers
// with the provider's own bytes.
func TestPassThroughBodiesAndAnswersAreUntouched(t *testing.T) {
	t.Parallel()
	up := shared(t).upstream
	booth := newBooth(t, up.Simulator)
	_, url := dev(t, t.TempDir(), booth.url)
	s := &system{url: url, upstream: up}
	for _, body := range untouchedBodies {
		r := s.send(t, http.MethodPost, "/v1/chat/completions", body)
		require.Equal(t, http.StatusOK, r.status, "%s", r.body)
		require.Contains(t, string(r.body), "Echo: Untouched task")
		require.Equal(t, booth.answer(body), string(r.body), body)
	}
	require.Equal(t, untouchedBodies, booth.seen())
}

func TestTheExtensionIsCutOutOfAPassThroughBodyAlone(t *testing.T) {
	t.Parallel()
	up := shared(t).upstream
	booth := newBooth(t, up.Simulator)
	_, url := dev(t, t.TempDir(), booth.url)
	s := &system{url: url, upstream: up}
	const rest = `"model":"m",  "seed":123456789012345678901234567890,` + untouchedMessages
	for _, body := range []string{
		`{"headrace":{"priority":7},` + rest + `}`,
		`{` + rest + `,"headrace":{"priority":7}}`,
		`{"a":{"headrace":1}, "headrace" : {"priority":7} ,` + rest + `}`,
	} {
		before := len(booth.seen())
		r := s.send(t, http.MethodPost, "/v1/chat/completions", body)
		require.Equal(t, http.StatusOK, r.status, "%s", r.body)
		sent := booth.seen()[before]
		require.True(t, json.Valid([]byte(sent)), sent)
		require.False(t, gjson.Get(sent, "headrace").Exists(), sent)
		require.Contains(t, sent, rest)
		require.Equal(t, strings.Contains(body, `"a":{"headrace":1}`), gjson.Get(sent, "a.headrace").Exists(), sent)
		o := s.task(t, r.header.Get("X-Headrace-Task"))
		require.EqualValues(t, 7, o.Get("priority").Int())
	}
	r := s.send(t, http.MethodPost, "/v1/chat/completions", `{"headrace":{"mood":1},`+rest+`}`)
	require.Equal(t, http.StatusBadRequest, r.status, "%s", r.body)
	require.Equal(t, "headrace.mood", gjson.GetBytes(r.body, "error.param").Str)
}
