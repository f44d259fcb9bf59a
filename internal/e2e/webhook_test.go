package e2e_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/simulator"
)

func TestTheEndOfABatchIsToldToItsReceiver(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	_, s := hooked(t, t.TempDir(), up.URL(), "HEADRACE_WEBHOOK_SECRET="+hookSecret)
	begun := time.Now().Unix()
	for status, begin := range map[string]func(url string) string{
		"completed": func(url string) string { return s.create(t, s.upload(t, requests(3)), hook(url)) },
		"failed":    func(url string) string { return s.create(t, s.upload(t, "{}\n"), hook(url)) },
		"cancelled": func(url string) string {
			id := s.create(t, s.upload(t, request("slow", "?", `,"user":"sim:latency=1h"`)+"\n"), hook(url))
			require.Equal(t, http.StatusOK, s.send(t, http.MethodPost, "/v1/batches/"+id+"/cancel", `{"headrace":{"abort":true}}`).status)
			return id
		},
		"expired": func(url string) string {
			r := s.send(t, http.MethodPost, "/v1/batches", fmt.Sprintf(
				`{"input_file_id":%q,"endpoint":"/v1/chat/completions","completion_window":"1s","headrace":{"webhook":%q,"timeout":"2s","max_attempts":1}}`,
				s.upload(t, request("slow", "?", `,"user":"sim:latency=1h"`)+"\n"), url))
			require.Equal(t, http.StatusOK, r.status, "%s", r.body)
			return r.object(t)["id"].(string)
		},
	} {
		t.Run(status, func(t *testing.T) {
			r := newReceiver(t, nil)
			id := begin(r.url())
			require.Equal(t, r.url(), gjson.GetBytes(s.get(t, "/v1/batches/"+id).body, "headrace.webhook").Str)
			got := r.await(t, 1)[0]
			requireSigned(t, hookSecret, got)
			require.Equal(t, "application/json", got.header.Get("Content-Type"))
			require.Regexp(t, `^headrace/`, got.header.Get("User-Agent"))
			event := gjson.Parse(got.body)
			require.Regexp(t, `^\{"id":"evt_[0-9a-z]{26}","object":"event","type":"batch\.`+status+`","created_at":\d+,"data":\{"id":"`+id+`"\}\}$`, got.body)
			require.GreaterOrEqual(t, event.Get("created_at").Int(), begun)
			require.Equal(t, status, s.batch(t, id)["status"], "whoever is told finds it ended")

			d := s.delivered(t, id)
			require.JSONEq(t, got.body, d.Get("event").Raw)
			require.Equal(t, r.url(), d.Get("url").Str)
			require.Len(t, d.Get("attempts").Array(), 1)
			require.EqualValues(t, http.StatusNoContent, d.Get("attempts.0.status_code").Int())
			require.Len(t, s.deliveries(t, id), 1)
			require.JSONEq(t, d.Raw, string(s.get(t, "/v1/webhooks/deliveries/"+d.Get("id").Str).body))
			require.Len(t, r.all(), 1)
		})
	}
}

func TestABatchWithoutAReceiverHasNoDelivery(t *testing.T) {
	t.Parallel()
	s := shared(t)
	b := s.process(t, requests(1))
	require.NotContains(t, b["headrace"], "webhook")
	require.Empty(t, s.deliveries(t, b["id"].(string)))
}

func TestAReceiverThatFailsTwiceIsToldAThirdTime(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	_, s := hooked(t, t.TempDir(), up.URL(), "HEADRACE_WEBHOOK_SECRET="+hookSecret)
	r := newReceiver(t, func(n int) int {
		return []int{http.StatusInternalServerError, http.StatusFound, http.StatusOK}[min(n, 2)]
	})
	id := s.create(t, s.upload(t, requests(1)), hook(r.url()))
	waiting := s.awaitDelivery(t, id, "waits", func(d gjson.Result) bool { return d.Get("next_attempt_at").Int() > 0 })
	require.Equal(t, "in_progress", waiting.Get("status").Str)
	require.Len(t, waiting.Get("attempts").Array(), 1, "its log can be read while it waits")
	require.Equal(t, "bad_status", waiting.Get("attempts.0.error.code").Str)
	require.Equal(t, "completed", s.batch(t, id)["status"], "the batch does not wait for it")

	all := r.await(t, 3)
	d := s.delivered(t, id)
	require.Equal(t, waiting.Get("id").Str, d.Get("id").Str)
	attempts := d.Get("attempts").Array()
	require.Len(t, attempts, 3)
	require.Len(t, r.all(), 3)
	for i, status := range []int64{500, 302, 200} {
		require.Equal(t, status, attempts[i].Get("status_code").Int())
		require.Equal(t, all[0].body, all[i].body, "the same bytes")
		require.Equal(t, all[0].header.Get("webhook-id"), all[i].header.Get("webhook-id"))
		requireSigned(t, hookSecret, all[i])
	}
	require.NotEqual(t, all[0].header.Get("webhook-timestamp"), all[2].header.Get("webhook-timestamp"), "and a signature of its own")
	require.GreaterOrEqual(t, attempts[1].Get("started_at").Int()-attempts[0].Get("started_at").Int(), int64(4))
	require.GreaterOrEqual(t, attempts[2].Get("started_at").Int()-attempts[1].Get("started_at").Int(), int64(29))
}

func TestAnEventCanBeDeliveredAgain(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	_, s := hooked(t, t.TempDir(), up.URL(), "HEADRACE_WEBHOOK_SECRET="+hookSecret)
	r := newReceiver(t, func(n int) int { return []int{http.StatusGone, http.StatusOK}[min(n, 1)] })
	id := s.create(t, s.upload(t, requests(1)), hook(r.url()))
	first := s.awaitDelivery(t, id, "is given up", func(d gjson.Result) bool { return d.Get("status").Str == "failed" })
	require.Equal(t, "gone", first.Get("attempts.0.error.code").Str)

	again := s.send(t, http.MethodPost, "/v1/webhooks/deliveries/"+first.Get("id").Str+"/redeliver", "")
	require.Equal(t, http.StatusAccepted, again.status, "%s", again.body)
	second := s.delivered(t, id)
	require.Equal(t, gjson.GetBytes(again.body, "id").Str, second.Get("id").Str)
	require.Equal(t, first.Get("id").Str, second.Get("redelivers").Str)
	require.Len(t, s.deliveries(t, id), 2)
	require.Equal(t, "failed", s.deliveries(t, id)[1].Get("status").Str, "the first one stays as it was")
	all := r.await(t, 2)
	require.Equal(t, all[0].body, all[1].body)
	requireSigned(t, hookSecret, all[1])
}

func TestASecretIsMadeWhereNoneIsConfigured(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	r, dir := newReceiver(t, nil), filepath.Join(t.TempDir(), "data")
	p, s := hooked(t, dir, up.URL(), "HEADRACE_WEBHOOK_URL="+r.url())
	secret := secretOf(t, dir)
	id := s.create(t, s.upload(t, requests(1)), "")
	requireSigned(t, secret, r.await(t, 1)[0])
	require.Equal(t, r.url(), s.delivered(t, id).Get("url").Str, "the receiver of what names none")

	p.kill()
	_, s = hooked(t, dir, up.URL(), "HEADRACE_WEBHOOK_URL="+r.url())
	require.Equal(t, secret, secretOf(t, dir), "it stays the same")
	s.create(t, s.upload(t, requests(1)), "")
	requireSigned(t, secret, r.await(t, 2)[1])
}
