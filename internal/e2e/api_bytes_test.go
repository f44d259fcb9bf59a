package e2e_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/openai"
)

// requireUntouched runs input as a batch and requires that each of bodies, the
// bodies of its lines, was called once, byte for byte, and that the bytes of the
// answer stand in the output in input order.
func requireUntouched(t *testing.T, s *system, input string, bodies ...string) {
	t.Helper()
	before := make([]int, len(bodies)) // by an earlier run of the same test
	for i, body := range bodies {
		before[i] = s.upstream.Calls([]byte(body))
	}
	b := s.process(t, input)
	require.Equal(t, "completed", b["status"], "%v", b["errors"])
	output := lines(t, strings.NewReader(s.content(t, b, "output_file_id")))
	require.Len(t, output, len(bodies))
	for i, body := range bodies {
		require.Equal(t, before[i]+1, s.upstream.Calls([]byte(body)), "%.300s", body)
		want, err := s.upstream.Answer(openai.ChatCompletions, []byte(body))
		require.NoError(t, err)
		got := gjson.Get(output[i], "response.body").Raw
		require.Equal(t, sumOf(string(want)), sumOf(got), "line %d has %.300s, not %.300s", i+1, got, want)
	}
}

// TestBodiesAndAnswersPassUntouched has what libraries like to tidy up.
func TestBodiesAndAnswersPassUntouched(t *testing.T) {
	t.Parallel()
	s := shared(t)
	const messages = `"messages":[{"role":"user","content":"Untouched"}]`
	bodies := []string{
		`{"model":"m",` + messages + `,"temperature":0,"top_p":0,"n":1,"logprobs":false,"store":false}`,
		`{"model":"m",` + messages + `,"stop":"END"}`,
		`{"model":"m",` + messages + `,"stop":["END"]}`,
		`{"model":"m",` + messages + `,"seed":123456789012345678901234567890,"x":1e400,"y":-0,"z":1.10}`,
		`{"z":1,` + messages + `,"a":{"c":1,"b":2},"model":"m"}`,
		`{"model":"m",` + messages + `,"unknown":{"deep":[{"er":null}]},"null":null,"empty":{},"list":[]}`,
		`{ "model" :  "m" ,` + "\t" + messages + ` , "spaces" : [ 1 , 2 ] }`,
		`{"model":"m",` + messages + `,"twice":1,"twice":2}`,
		`{"model":"m",` + messages + `,"html":"<a href=\"x\">&</a>","slash":"\/","u":"\u003c\u00e9é\ud83d\ude00😀\u0000"}`,
		`{"model":"m","messages":[{"role":"user","content":"Grüße, 世界 \u4e16\u754c 🚀"}]}`,
		`{"model":"o1-mini","max_tokens":5,"temperature":1.5,` + messages + `}`,
		`{"model":"m","stream":false,"stream_options":null,` + messages + `}`,
	}
	var input strings.Builder
	for i, body := range bodies {
		input.WriteString(chatLine(fmt.Sprintf("bytes-%d", i), body))
	}
	requireUntouched(t, s, input.String(), bodies...)
}

// TestInputsOfEveryEditorWork has the line endings and marks that editors leave.
func TestInputsOfEveryEditorWork(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for name, input := range map[string]func(one, two string) string{
		"byte order mark":     func(one, two string) string { return "\uFEFF" + one + two },
		"CRLF":                func(one, two string) string { return strings.ReplaceAll(one+two, "\n", "\r\n") },
		"trailing blanks":     func(one, two string) string { return one + two + "\n \n\t\r\n\n" },
		"blanks between":      func(one, two string) string { return "\n\n" + one + "\n\n  " + two },
		"no final line break": func(one, two string) string { return one + strings.TrimSuffix(two, "\n") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, two := chatBody(name+" one", ""), chatBody(name+" two", "")
			requireUntouched(t, s, input(chatLine("1", one), chatLine("2", two)), one, two)
		})
	}
}

func TestALineOfTenMegabytesWorks(t *testing.T) {
	t.Parallel()
	long := chatBody("long", `,"padding":"`+strings.Repeat("0123456789", 1<<20)+`"`)
	short := chatBody("short beside long", "")
	requireUntouched(t, shared(t), chatLine("1", short)+chatLine("2", long)+chatLine("3", chatBody("after long", "")),
		short, long, chatBody("after long", ""))
}

func TestCustomIDsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	s := shared(t)
	ids := []string{`"plain"`, `" "`, `"\u00e9"`, `"日本\/語"`, `"a\"b\\c"`, `"` + strings.Repeat("x", 5000) + `"`}
	var input bytes.Buffer
	for i, id := range ids {
		fmt.Fprintf(&input, `{"method":"POST","body":%s,"url":"/v1/chat/completions","custom_id":%s}`+"\n", chatBody(fmt.Sprintf("Id %d", i), ""), id)
	}
	b := s.process(t, input.String())
	require.Equal(t, "completed", b["status"], "%v", b["errors"])
	for i, line := range lines(t, strings.NewReader(s.content(t, b, "output_file_id"))) {
		require.Equal(t, ids[i], gjson.Get(line, "custom_id").Raw)
	}
}

// TestEveryEndpointCanBeBatched has bodies that its endpoint would take.
func TestEveryEndpointCanBeBatched(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for endpoint, body := range map[openai.Endpoint]string{
		openai.ChatCompletions: chatBody("Endpoint", ""),
		openai.Completions:     `{"model":"m","prompt":"Endpoint"}`,
		openai.Embeddings:      `{"model":"m","input":["Endpoint","two"]}`,
		openai.Moderations:     `{"input":"Endpoint"}`,
		openai.Responses:       `{"model":"m","input":"Endpoint"}`,
	} {
		t.Run(string(endpoint), func(t *testing.T) {
			t.Parallel()
			file := s.upload(t, fmt.Sprintf(`{"custom_id":"1","method":"POST","url":%q,"body":%s}`, endpoint, body))
			r := s.send(t, "POST", "/v1/batches", fmt.Sprintf(`{"input_file_id":%q,"endpoint":%q,"completion_window":"24h"}`, file, endpoint))
			require.Equal(t, 200, r.status, "%s", r.body)
			b := s.until(t, r.object(t)["id"].(string), "completed", "failed")
			want, err := s.upstream.Answer(endpoint, []byte(body))
			require.NoError(t, err)
			require.Equal(t, string(want), gjson.Get(s.content(t, b, "output_file_id"), "response.body").Raw)
		})
	}
}
