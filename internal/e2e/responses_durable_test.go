package e2e_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/simulator"
)

// wordy asks for an answer that comes in many pieces.
func wordy(input string) string {
	return inBackground(input, `,"stream":true,"max_output_tokens":1000`)
}

// TestAReaderMissesNothingWhenTheServiceIsKilled kills the service in mid-stream
// and reads on. What the new call brings comes behind all that was seen.
func TestAReaderMissesNothingWhenTheServiceIsKilled(t *testing.T) {
	t.Parallel()
	up, dir := sim(t, simulator.Options{StreamInterval: latency(t, "20ms")}), t.TempDir()
	p, url := dev(t, dir, up.URL())
	s := &system{url: url, upstream: up}
	w := s.open(t, http.MethodPost, "/v1/responses", wordy("Killed in mid-stream"))
	all := w.some(40)
	id := all[0].data.Get("response.id").Str
	p.kill()
	all = append(all, w.rest()...)
	_, s.url = dev(t, dir, up.URL())
	all = append(all, s.resume(t, id, all[len(all)-1].number()).rest()...)
	require.Equal(t, id, requireTold(t, all))
	require.Equal(t, "response.completed", all[len(all)-1].name)
	require.Equal(t, 2, count(all, "response.created"), "ours, and that of the second call")
	done := s.response(t, id)
	require.Equal(t, done.Raw, all[len(all)-1].data.Get("response").Raw)
	require.Equal(t, done.Get("output.0.content.0.text").Str, textOf(all))
	require.EqualValues(t, 2, up.Stats().Calls)

	again := s.open(t, http.MethodGet, "/v1/responses/"+id+"?stream=true", "").rest()
	require.Equal(t, textOf(all), textOf(again))
	seen := map[int64]string{}
	for _, e := range all {
		seen[e.number()] = e.data.Raw
	}
	for _, e := range again {
		require.Equal(t, seen[e.number()], e.data.Raw, "whatever is read again has its number still")
	}
}

// count counts the events of a name.
func count(all []told, name string) int {
	n := 0
	for _, e := range all {
		if e.name == name {
			n++
		}
	}
	return n
}

// TestAResponseThatWasAcceptedBeforeAKillIsMade kills the service while calls
// are on their way, and when they have ended.
func TestAResponseThatWasAcceptedBeforeAKillIsMade(t *testing.T) {
	t.Parallel()
	up, dir := sim(t, simulator.Options{Latency: latency(t, "500ms")}), t.TempDir()
	p, url := dev(t, dir, up.URL())
	s := &system{url: url, upstream: up}
	ids := make([]string, 20)
	for i := range ids {
		ids[i] = s.respond(t, inBackground(fmt.Sprintf("Accepted %d", i), "")).Get("id").Str
	}
	p.kill()
	p, s.url = dev(t, dir, up.URL())
	for i, id := range ids {
		require.Equal(t, fmt.Sprintf("Echo: Accepted %d", i), s.responded(t, id).Get("output.0.content.0.text").Str)
	}
	deleted := s.send(t, http.MethodDelete, "/v1/responses/"+ids[0], "")
	require.Equal(t, http.StatusOK, deleted.status)
	calls := up.Stats().Calls
	p.kill()
	_, s.url = dev(t, dir, up.URL())
	require.Equal(t, http.StatusNotFound, s.send(t, http.MethodGet, "/v1/responses/"+ids[0], "").status, "it stays deleted")
	require.Equal(t, "completed", s.response(t, ids[1]).Get("status").Str)
	require.Equal(t, calls, up.Stats().Calls)
}

// TestAStreamIsReadInAnotherProcess has the API and the worker in processes of
// their own, and kills the worker in mid-stream.
func TestAStreamIsReadInAnotherProcess(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{StreamInterval: latency(t, "20ms")})
	_, address := devTemporal(t, t.TempDir(), freePort(t), up.URL())
	register(t, address, ownNamespace)
	c := newCluster(t, address, ownNamespace)
	s := &system{url: c.url, upstream: up}
	w := s.open(t, http.MethodPost, "/v1/responses", wordy("Read elsewhere"))
	all := w.some(2)
	id := requireTold(t, all)
	require.Equal(t, "queued", s.response(t, id).Get("status").Str, "without a worker it waits")
	first := c.worker(up.URL())
	all = append(all, w.some(20)...)
	first.kill()
	c.worker(up.URL())
	all = append(all, w.rest()...)
	require.Equal(t, id, requireTold(t, all))
	require.Equal(t, "response.completed", all[len(all)-1].name)
	require.Equal(t, s.response(t, id).Get("output.0.content.0.text").Str, textOf(all))
	require.Equal(t, all[len(all)-1:], s.resume(t, id, all[len(all)-2].number()).rest())
}

func TestARepeatedKeyIsOneResponse(t *testing.T) {
	t.Parallel()
	up, dir := sim(t, simulator.Options{Latency: latency(t, "1s")}), t.TempDir()
	p, url := dev(t, dir, up.URL())
	s := &system{url: url, upstream: up}
	body, key := inBackground("One response", ""), []string{"Idempotency-Key: response"}
	id := requireOne(t, race(t, 30, http.MethodPost, "/v1/responses", body, key, s), http.StatusOK)
	s.responded(t, id)
	p.kill()
	_, s.url = dev(t, dir, up.URL())
	r := s.send(t, http.MethodPost, "/v1/responses", body, key...)
	require.Equal(t, "true", r.header.Get("Idempotency-Replayed"))
	require.Equal(t, s.response(t, id).Raw, string(r.body))
	require.EqualValues(t, 1, up.Stats().Calls)
	r = s.send(t, http.MethodPost, "/v1/responses", inBackground("Another response", ""), key...)
	require.Equal(t, http.StatusConflict, r.status)
	require.Equal(t, "false", r.header.Get("X-Should-Retry"))
}

func TestARepeatedKeyIsTheSameStream(t *testing.T) {
	t.Parallel()
	s := shared(t)
	body, key := wordy(unique("One stream")), "Idempotency-Key: "+unique("stream")
	first := s.send(t, http.MethodPost, "/v1/responses", body, key)
	again := s.send(t, http.MethodPost, "/v1/responses", body, key)
	require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	require.Equal(t, string(first.body), string(again.body))
	require.Equal(t, first.header.Get("X-Headrace-Task"), again.header.Get("X-Headrace-Task"))
	require.Contains(t, string(first.body), "event: response.completed")
}

func TestAResponseThatFailsSaysSo(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for directive, calls := range map[string]int{"status=400;code=invalid_prompt": 1, "status=500": 2} {
		sent := fmt.Sprintf(`{"model":"m","input":%q,"user":"sim:%s"`, unique("Fails"), directive)
		id := s.respond(t, sent+`,"background":true,"headrace":{"max_attempts":2,"queue":"failing-responses"}}`).Get("id").Str
		o := s.responded(t, id)
		require.Equal(t, "failed", o.Get("status").Str)
		require.NotEmpty(t, o.Get("error.message").Str)
		require.Contains(t, []string{"server_error", "invalid_prompt"}, o.Get("error.code").Str)
		require.Equal(t, calls, s.upstream.Calls([]byte(sent+"}")))
		r := s.send(t, http.MethodPost, "/v1/responses/"+id+"/cancel", "")
		require.Equal(t, http.StatusOK, r.status)
		require.Equal(t, o.Raw, string(r.body))

		stream := s.open(t, http.MethodPost, "/v1/responses", sent+`,"background":true,"stream":true,"headrace":{"max_attempts":2,"queue":"failing-responses"}}`)
		all := stream.rest()
		id = requireTold(t, all)
		require.Equal(t, "response.failed", all[len(all)-1].name)
		require.Equal(t, s.response(t, id).Raw, all[len(all)-1].data.Get("response").Raw)
		require.Empty(t, s.resume(t, id, all[len(all)-1].number()).rest())
	}
}

func TestAStreamThatBreaksOffBeginsAnew(t *testing.T) {
	t.Parallel()
	s := shared(t)
	body := inBackground(unique("Breaks off"), `,"stream":true,"max_output_tokens":100,"user":"sim:middle;fail=1"`)
	all := s.open(t, http.MethodPost, "/v1/responses", body).rest()
	id := requireTold(t, all)
	require.Equal(t, 2, count(all, "response.created"))
	require.Equal(t, "response.completed", all[len(all)-1].name)
	require.Equal(t, s.response(t, id).Get("output.0.content.0.text").Str, textOf(all))
}

func TestADeletedResponseIsCancelledAndForgotten(t *testing.T) {
	t.Parallel()
	s := alone(t)
	o := s.respond(t, inBackground(unique("Deleted under way"), `,"user":"sim:stall"`))
	id := o.Get("id").Str
	s.awaitResponse(t, id, "in_progress")
	task := s.send(t, http.MethodGet, "/v1/tasks", "")
	require.Contains(t, gjson.GetBytes(task.body, "data.#.response_id").Raw, id)
	require.Equal(t, http.StatusOK, s.send(t, http.MethodDelete, "/v1/responses/"+id, "").status)
	eventually(t, func() bool { return s.upstream.Stats().InFlight == 0 }, "the call goes on")
	for _, path := range []string{"/v1/responses/" + id, "/v1/tasks/task_" + id[len("resp_"):]} {
		require.Equal(t, http.StatusNotFound, s.send(t, http.MethodGet, path, "").status, path)
	}
	require.NotContains(t, gjson.GetBytes(s.get(t, "/v1/tasks").body, "data.#.response_id").Raw, id)
	require.Equal(t, http.StatusNotFound, s.send(t, http.MethodDelete, "/v1/responses/"+id, "").status)
}

func TestAResponseWaitsForItsTime(t *testing.T) {
	t.Parallel()
	s := shared(t)
	sent := fmt.Sprintf(`{"model":"m","input":%q`, unique("Later"))
	id := s.respond(t, sent+`,"background":true,"headrace":{"not_before":"2s"}}`).Get("id").Str
	begun := time.Now()
	s.responded(t, id)
	require.Greater(t, time.Since(begun), time.Second)
}
