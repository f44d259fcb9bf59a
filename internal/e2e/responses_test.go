package e2e_test

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/openai"
)

func TestAResponseInTheBackgroundIsAnsweredAtOnceAndKept(t *testing.T) {
	t.Parallel()
	s := shared(t)
	input := unique("In the background")
	user := "sim:latency=1s"
	if onCluster { // from another process the first three seconds of a task are not seen
		user = "sim:latency=6s"
	}
	asked := `,"user":"` + user + `","instructions":"Be  brief","temperature":0.0,"max_output_tokens":64,"metadata":{"a":"b"},"tools":[ {"type":"x"} ]`
	o := s.respond(t, inBackground(input, asked))
	id := o.Get("id").Str
	require.Regexp(t, `^resp_[0-9a-z]{26}_0$`, id)
	for path, want := range map[string]string{
		"object": `"response"`, "status": `"queued"`, "background": "true", "error": "null", "incomplete_details": "null",
		"output": "[]", "usage": "null", "model": `"gpt-4o-mini"`, "instructions": `"Be  brief"`, "temperature": "0.0",
		"max_output_tokens": "64", "metadata": `{"a":"b"}`, "tools": `[{"type":"x"}]`, "tool_choice": `"auto"`, "top_p": "1.0",
		"parallel_tool_calls": "true", "previous_response_id": "null", "text": `{"format":{"type":"text"}}`,
		"truncation": `"disabled"`, "user": strconv.Quote(user), "service_tier": `"auto"`, "store": "true",
	} {
		require.Equal(t, want, o.Get(path).Raw, path)
	}
	require.Positive(t, o.Get("created_at").Int())
	running := s.awaitResponse(t, id, "in_progress")
	require.Equal(t, o.Get("metadata").Raw, running.Get("metadata").Raw)
	require.Equal(t, o.Get("created_at").Raw, running.Get("created_at").Raw)

	done := s.responded(t, id)
	sent := fmt.Sprintf(`{"model":"gpt-4o-mini","input":%q%s}`, input, asked)
	answer, err := s.upstream.Answer(openai.Responses, []byte(sent))
	require.NoError(t, err, "'background' is cut out, and nothing else")
	theirs := gjson.ParseBytes(answer)
	require.Equal(t, theirs.Get("output").Raw, done.Get("output").Raw)
	require.Equal(t, id, done.Get("id").Str)
	require.True(t, done.Get("background").Bool())
	require.Equal(t, "completed", done.Get("status").Str)
	require.Equal(t, 1, s.upstream.Calls([]byte(sent)))
}

func TestAResponseInTheForegroundPassesThrough(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, body := range []string{
		`{"model":"m","input":"In the foreground","background":false}`, `{"model":"m","input":"In the foreground"}`,
	} {
		r := s.send(t, http.MethodPost, "/v1/responses", body)
		require.Equal(t, http.StatusOK, r.status, "%s", r.body)
		want, err := s.upstream.Answer(openai.Responses, []byte(body))
		require.NoError(t, err)
		require.Equal(t, string(want), string(r.body))
	}
}

func TestAStreamOfAResponseIsTheProvidersUnderOurNumbers(t *testing.T) {
	t.Parallel()
	s := shared(t)
	all := s.open(t, http.MethodPost, "/v1/responses", inBackground("Streamed in the background", `,"stream":true`)).rest()
	id := requireTold(t, all)
	require.Equal(t, "Echo: Streamed in the background", textOf(all))
	last := all[len(all)-1]
	require.Equal(t, "response.completed", last.name)
	require.Equal(t, last.data.Get("response").Raw, s.response(t, id).Raw)

	require.Equal(t, all, s.open(t, http.MethodGet, "/v1/responses/"+id+"?stream=true", "").rest(), "it can be read again")
	for i, e := range all {
		require.Equal(t, all[i+1:], append([]told{}, s.resume(t, id, e.number()).rest()...), "after event %d", e.number())
	}
}
