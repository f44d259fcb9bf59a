package e2e_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// TestNothingThatIsKeptOrSaidHasSecrets does everything at once that users do, kills
// the process, and searches what is left: the folder with Temporal's database and
// the store, the log at its most talkative, the metrics, the answers that are errors.
func TestNothingThatIsKeptOrSaidHasSecrets(t *testing.T) {
	t.Parallel()
	for name, sealed := range map[string]bool{"encrypted": true, "in the clear": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVault(t, sealed)
			v.use(t)
			v.err(t)
			v.search(t)
			require.Equal(t, "Bearer "+providerKey, v.called, "the key was used")
			require.Equal(t, headerSecret, v.header)

			for _, secret := range v.secrets {
				require.Empty(t, v.found.with("", secret), secret.what)
			}
			private := newNeedle("private", v.private)
			if sealed {
				for _, where := range []string{v.dir, "stdout", "stderr", "metrics"} {
					require.Empty(t, v.found.with(where, private), where)
				}
				return
			}
			// This shows that a search finds what is there.
			require.NotEmpty(t, v.found.with(filepath.Join(v.dir, "store"), private))
			require.NotEmpty(t, v.found.with(filepath.Join(v.dir, "temporal"), private))
			for _, where := range []string{"stdout", "stderr", "metrics"} {
				require.Empty(t, v.found.with(where, private), where)
			}
		})
	}
}

// use does what users do, and puts the private text into all that they may choose.
func (v *vault) use(t *testing.T) {
	t.Helper()
	metadata := fmt.Sprintf(`,"metadata":{"about":%q}`, v.private)
	hook := fmt.Sprintf(`"webhook":%q`, v.receiver.url()+"?token="+v.private)

	form := "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b\r\n" +
		"Content-Disposition: form-data; name=\"file\"; filename=\"" + v.private + ".jsonl\"\r\n\r\n" +
		request("a-"+v.private, v.private, "") + "\n" + request("b", v.private, `,"user":"sim:status=400"`) + "\n" +
		request("c", v.private, `,"user":"sim:status=503;fail=2"`) + "\n" + request("d", v.private, `,"user":"sim:latency=3s"`) + "\r\n--b--\r\n"
	file := v.ask(t, http.MethodPost, "/v1/files", form, "Content-Type: multipart/form-data; boundary=b")
	require.Equal(t, http.StatusOK, file.status, "%s", file.body)
	b := v.ask(t, http.MethodPost, "/v1/batches", fmt.Sprintf(
		`{"input_file_id":%q,"endpoint":"/v1/chat/completions","completion_window":"24h","headrace":{%s}%s}`,
		gjson.GetBytes(file.body, "id").Str, hook, metadata), "Idempotency-Key: "+v.private)
	require.Equal(t, http.StatusOK, b.status, "%s", b.body)

	endings := map[string]string{}
	for what, task := range map[string]string{
		"well":    chatTask(chatBody(v.private, ""), metadata+","+hook),
		"badly":   chatTask(directed(v.private, "status=400"), ""),
		"late":    chatTask(directed(v.private, "status=500;fail=2"), ""),
		"after":   chatTask(chatBody(v.private, ""), `,"not_before":"2s"`),
		"slowly":  chatTask(directed(v.private, "latency=5s"), `,"deadline":"1m"`),
		"forever": chatTask(directed(v.private, "stall"), ""),
		"cut":     chatTask(directed(v.private, "middle"), `,"max_attempts":2`),
		"called": fmt.Sprintf(`{"url":"http://%s/%s","method":"POST","headers":{"X-Mine":%q},"body":{"x":%q}}`,
			v.receiver.address, v.private, v.private, v.private),
		"cached": chatTask(chatBody(v.private+" cached", ""), `,"headrace":{"cache":"1h"}`),
	} {
		r := v.ask(t, http.MethodPost, "/v1/tasks", task, "Idempotency-Key: "+what+v.private)
		require.Equal(t, http.StatusAccepted, r.status, "%s", r.body)
		endings[what] = gjson.GetBytes(r.body, "id").Str
	}
	large := chatTask(chatBody(v.private+strings.Repeat(" and more", 30_000), ""), "")
	r := v.ask(t, http.MethodPost, "/v1/tasks", list(large, large, large))
	require.Equal(t, http.StatusAccepted, r.status, "%s", r.body)

	streamed := v.ask(t, http.MethodPost, "/v1/chat/completions", chatBody(v.private, `,"stream":true`))
	require.Contains(t, string(streamed.body), v.private[:4])
	response := v.ask(t, http.MethodPost, "/v1/responses", inBackground(v.private, `,"stream":true`))
	require.Contains(t, string(response.body), "response.completed")

	v.await(t, "/v1/batches/"+gjson.GetBytes(b.body, "id").Str, "completed")
	for what, id := range endings {
		if what != "forever" {
			v.await(t, "/v1/tasks/"+id, "completed", "failed")
		}
	}
	for _, id := range gjson.GetBytes(r.body, "data.#.id").Array() {
		v.await(t, "/v1/tasks/"+id.Str, "completed")
	}
	v.receiver.await(t, 3)
}

// await waits until what is at a path has one of some states.
func (v *vault) await(t *testing.T, path string, states ...string) {
	t.Helper()
	poll(t, path, func() bool {
		status := gjson.GetBytes(v.ask(t, http.MethodGet, path, "").body, "status").Str
		return slices.Contains(states, status)
	})
}

// err makes every kind of mistake, except to have the provider refuse its key: that
// holds everything up.
func (v *vault) err(t *testing.T) {
	t.Helper()
	key := strings.TrimPrefix(v.auth, "Authorization: Bearer ")
	for _, h := range []string{"Authorization: Bearer " + key + "x", "Authorization: Basic " + key, "X-Api-Key: sk-wrong", "X-Nothing: 1"} {
		r := v.send(t, http.MethodGet, "/v1/batches", "", h)
		require.Equal(t, http.StatusUnauthorized, r.status)
		v.found["answer to "+h[:9]] = r.body
	}
	for _, c := range [][3]string{
		{http.MethodGet, "/v1/nothing", ""}, {http.MethodPost, "/v1/queues", "{}"}, {http.MethodGet, "/v1/files/" + v.private, ""},
		{http.MethodGet, "/v1/tasks/task_" + v.private, ""}, {http.MethodPost, "/v1/tasks", "{" + v.private},
		{http.MethodPost, "/v1/tasks", `{"url":"https://example.com/` + v.private + `","body":{}}`},
		{http.MethodPost, "/v1/tasks", `{"url":"/v1/chat/completions","body":{"messages":"` + v.private + `"},"webhook":"ftp://` + v.private + `"}`},
		{http.MethodPost, "/v1/batches", `{"input_file_id":"` + v.private + `"}`}, {http.MethodPost, "/v1/files", v.private},
		{http.MethodPost, "/v1/chat/completions", directed(v.private, "status=422")},
		{http.MethodPut, "/v1/queues/default", `{"requests_per_minute":1}`}, {http.MethodPost, "/v1/responses", v.private},
	} {
		require.GreaterOrEqual(t, v.ask(t, c[0], c[1], c[2]).status, http.StatusBadRequest, "%s %s", c[0], c[1])
	}
}

// search ends the process and gathers all that there is to be searched.
func (v *vault) search(t *testing.T) {
	t.Helper()
	metrics, err := http.Get(v.telemetry + "/metrics") //nolint:bodyclose // lines ends it
	require.NoError(t, err)
	v.found["metrics"] = []byte(strings.Join(lines(t, metrics.Body), "\n"))
	require.NotEmpty(t, v.found["metrics"])
	v.process.kill()
	v.found["stdout"], v.found["stderr"] = []byte(v.process.stdout.String()), []byte(v.process.stderr.String())
	v.found.add(t, v.dir)
}
