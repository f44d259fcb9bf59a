package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
)

// fork is a headrace with two providers: main, and backup, which gets models that
// begin with big- and knows gpt-4o-mini as spare.
type fork struct {
	*system

	backup *simulator.Running
	door   *booth // of backup
}

func newFork(t *testing.T, mainURL string) *fork {
	t.Helper()
	f := &fork{system: &system{upstream: sim(t, simulator.Options{})}, backup: sim(t, simulator.Options{})}
	f.door = newBooth(t, f.backup.Simulator)
	if mainURL == "" {
		mainURL = f.upstream.URL()
	}
	config := write(t, "headrace.yaml", fmt.Sprintf(`
providers:
  - name: main
    base_url: %s
  - name: backup
    base_url: %s
    models: ["big-*"]
    rewrite: {gpt-4o-mini: spare}
routes:
  - provider: backup
    queue: spares
`, mainURL, f.door.url))
	_, f.url = dev(t, t.TempDir(), "", "--config", config)
	return f
}

// big is a body that names a model of backup.
func big(body string) string { return strings.Replace(body, "gpt-4o-mini", "big-1", 1) }

// answer is what a simulator answers a chat completion.
func answer(t *testing.T, s *simulator.Running, body string) string {
	t.Helper()
	want, err := s.Answer(openai.ChatCompletions, []byte(body))
	require.NoError(t, err)
	return string(want)
}

func TestModelsOfOneFileGoToTheirProviders(t *testing.T) {
	t.Parallel()
	f := newFork(t, "")
	body := big(chatBody("Which provider?", ` , "n" : 1.0 `))
	o := f.completed(t, f.addID(t, chatTask(body, "")))
	require.Equal(t, "backup", o.Get("result.provider").Str)
	require.Equal(t, "big-1", o.Get("result.model").Str)
	require.Equal(t, "backup", o.Get("attempts.0.provider").Str)
	require.Equal(t, "spares", o.Get("queue").Str)
	require.Equal(t, answer(t, f.backup, body), o.Get("result.body").Raw)
	require.Equal(t, []string{body}, f.door.seen())

	o = f.completed(t, f.addID(t, chatTask(chatBody("And this one?", ""), "")))
	require.Equal(t, "main", o.Get("result.provider").Str)
	require.Equal(t, "default", o.Get("queue").Str)

	b := f.process(t, requests(20)+big(request("big", "Big?", "")))
	require.Equal(t, "completed", b["status"], "%v", b)
	require.EqualValues(t, 2, f.backup.Stats().Calls)
	require.EqualValues(t, 21, f.upstream.Stats().Calls)
	require.NotContains(t, f.content(t, b, "output_file_id"), `"headrace"`)

	list := gjson.ParseBytes(f.get(t, "/v1/models").body)
	require.NotEmpty(t, list.Get("data").Array())
}

// fallBack has calls of the default queue go to backup if main does not answer.
func (f *fork) fallBack(t *testing.T, on string) {
	t.Helper()
	r := f.send(t, http.MethodPut, "/v1/queues/default", `{"fallback":{"targets":[{"provider":"backup"}],"on":[`+on+`]}}`)
	require.Equal(t, http.StatusOK, r.status, "%s", r.body)
}

// control changes the simulator main.
func (f *fork) control(t *testing.T, options string) {
	t.Helper()
	own := &system{url: strings.TrimSuffix(f.upstream.URL(), "/v1")}
	require.Equal(t, http.StatusOK, own.send(t, http.MethodPost, "/control", options).status)
}

func TestCallsFallBackWhileTheCreditIsUsedUpAndComeBack(t *testing.T) {
	t.Parallel()
	f := newFork(t, "")
	f.fallBack(t, `"exhausted"`)
	f.control(t, `{"faults":{"quota":1}}`)
	body := chatBody("Who pays?", ` , "n" : 1.0 `)
	o := f.completed(t, f.addID(t, chatTask(body, "")))
	spare := strings.Replace(body, `"gpt-4o-mini"`, `"spare"`, 1)
	require.Equal(t, []string{spare}, f.door.seen(), "only the model differs")
	require.Equal(t, answer(t, f.backup, spare), o.Get("result.body").Raw)
	require.Equal(t, "backup gpt-4o-mini", o.Get("result.provider").Str+" "+o.Get("result.model").Str)
	require.Equal(t, "main exhausted", o.Get("attempts.0.provider").Str+" "+o.Get("attempts.0.error.kind").Str)
	attempts := o.Get("attempts").Array() // some more at main if the worker heard of the fallback late
	last := attempts[len(attempts)-1]
	require.Equal(t, "backup null", last.Get("provider").Str+" "+last.Get("error").Raw)

	b := f.process(t, requests(300))
	require.Equal(t, "completed", b["status"], "%v", b)
	require.Equal(t, json.Number("300"), b["request_counts"].(map[string]any)["completed"])
	for _, line := range lines(t, strings.NewReader(f.content(t, b, "output_file_id"))) {
		require.JSONEq(t, `{"model":"gpt-4o-mini","provider":"backup"}`, gjson.Get(line, "headrace").Raw)
		require.Equal(t, "spare", gjson.Get(line, "response.body.model").Str)
	}
	require.EqualValues(t, 301, f.backup.Stats().Succeeded)
	require.Less(t, f.upstream.Stats().Calls, int64(100), "main is only looked after")

	f.control(t, `{"faults":{"quota":0}}`)
	eventually(t, func() bool {
		o := f.completed(t, f.addID(t, chatTask(chatBody("Back?", ""), "")))
		return o.Get("result.provider").Str == "main"
	}, "main is never used again")
}

func TestCallsFallBackFromAProviderThatIsNotThere(t *testing.T) {
	t.Parallel()
	f := newFork(t, fmt.Sprintf("http://127.0.0.1:%d/v1", freePort(t)))
	f.fallBack(t, `"unreachable","transient"`)
	for i := range 5 {
		r := f.send(t, http.MethodPost, "/v1/chat/completions", chatBody(fmt.Sprintf("Anybody there? %d", i), ""))
		require.Equal(t, http.StatusOK, r.status, "%s", r.body)
		require.Equal(t, "spare", gjson.GetBytes(r.body, "model").Str)
	}
	r := f.send(t, http.MethodPost, "/v1/chat/completions", chatBody("Anybody streaming?", `,"stream":true`))
	require.Equal(t, http.StatusOK, r.status)
	require.Contains(t, string(r.body), `"model":"spare"`)
	require.True(t, strings.HasSuffix(string(r.body), "data: [DONE]\n\n"), "%s", r.body)
	b := f.process(t, requests(50))
	require.Equal(t, "completed", b["status"], "%v", b)
	require.Equal(t, 50, strings.Count(f.content(t, b, "output_file_id"), `"headrace":{"model":"gpt-4o-mini","provider":"backup"}`))
	require.Zero(t, f.upstream.Stats().Calls)
}

func TestARequestsOwnFallbackIsTriedForTheErrorsThatItNames(t *testing.T) {
	t.Parallel()
	f := newFork(t, "")
	f.control(t, `{"models":["larger"]}`) // gpt-4o-mini is not served
	const own = `"fallback":{"targets":[{"model":"larger"},{"provider":"backup"}],"on":["permanent"]}`
	body := chatBody("Too long for this one", ` , "n" : 1.0 `)
	o := f.completed(t, f.addID(t, chatTask(body, ","+own)))
	require.Equal(t, "larger", o.Get("result.model").Str)
	require.Equal(t, answer(t, f.upstream, strings.Replace(body, "gpt-4o-mini", "larger", 1)), o.Get("result.body").Raw)

	id := f.create(t, f.upload(t, requests(10)), `,"headrace":{`+own+`}`)
	b := f.until(t, id, "completed", "failed")
	require.Equal(t, json.Number("10"), b["request_counts"].(map[string]any)["completed"])
	require.Equal(t, 10, strings.Count(f.content(t, b, "output_file_id"), `"headrace":{"model":"larger","provider":"main"}`))

	o = f.ended(t, f.addID(t, chatTask(body, strings.Replace(","+own, "permanent", "exhausted", 1))))
	require.Equal(t, "failed", o.Get("status").Str, "that kind of error is not among those named")
	require.EqualValues(t, 404, o.Get("result.status_code").Int())
	require.Empty(t, f.door.seen())
}
