package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/simulator"
)

func TestTheEndOfATaskIsToldToItsReceiver(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	_, s := hooked(t, t.TempDir(), up.URL(), "HEADRACE_WEBHOOK_SECRET="+hookSecret)
	for status, directive := range map[string]string{"completed": "latency=1ms", "failed": "status=400", "cancelled": "latency=1h"} {
		t.Run(status, func(t *testing.T) {
			r := newReceiver(t, nil)
			id := s.addID(t, chatTask(directed("Told "+status, directive), fmt.Sprintf(`,"webhook":%q`, r.url())))
			require.Equal(t, r.url(), s.task(t, id).Get("webhook").Str)
			if status == "cancelled" {
				require.Equal(t, http.StatusOK, s.cancelTask(t, id).status)
			}
			got := r.await(t, 1)[0]
			requireSignature(t, hookSecret, got)
			require.Regexp(t, `^\{"id":"evt_[0-9a-z]{26}","object":"event","type":"task\.`+status+`","created_at":\d+,"data":\{"id":"`+id+`"\}\}$`, got.body)
			require.Equal(t, status, s.task(t, id).Get("status").Str, "whoever is told finds it ended")
			s.delivered(t, id)
			require.Len(t, s.deliveries(t, id), 1)
		})
	}
}

// TestReceiversThatHangHoldNobodyElseUp has more deliveries under way than one
// process may have at once.
func TestReceiversThatHangHoldNobodyElseUp(t *testing.T) {
	t.Parallel()
	const tasks = 400
	up := sim(t, simulator.Options{})
	_, s := hooked(t, t.TempDir(), up.URL())
	r := newReceiver(t, nil)
	r.hold = make(chan struct{})
	t.Cleanup(func() { close(r.hold) })
	all := make([]string, tasks)
	for i := range all {
		all[i] = chatTask(chatBody(fmt.Sprintf("Hang %d", i), ""), fmt.Sprintf(`,"webhook":%q`, r.url()))
	}
	require.Equal(t, http.StatusAccepted, s.send(t, http.MethodPost, "/v1/tasks", list(all...)).status)
	r.await(t, 50)
	b := s.process(t, requests(200))
	require.Equal(t, "completed", b["status"])
	s.completed(t, s.addID(t, chatTask(chatBody("One more", ""), "")))
}

func TestHTTPTasksCallListedHostsAndNothingElse(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	var elsewhere string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		calls.Add(1)
		if q.URL.Path == "/away" {
			http.Redirect(w, q, elsewhere, http.StatusTemporaryRedirect)
			return
		}
		body, _ := io.ReadAll(q.Body)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"method": q.Method, "got": string(body), "own": q.Header.Get("X-Own")})
	}))
	t.Cleanup(server.Close)
	var reached atomic.Int64
	secretive := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(secretive.Close)
	elsewhere = secretive.URL
	host := strings.TrimPrefix(server.URL, "http://")
	up := sim(t, simulator.Options{})
	_, s := hooked(t, t.TempDir(), up.URL(), "HEADRACE_ALLOWED_HOSTS="+host+",localhost")

	done := s.completed(t, s.addID(t, fmt.Sprintf(`{"url":%q,"method":"PUT","headers":{"X-Own":"mine"},"body":{"a": 1.0}}`, server.URL+"/x")))
	require.EqualValues(t, http.StatusOK, done.Get("result.status_code").Int())
	require.JSONEq(t, `{"method":"PUT","got":"{\"a\": 1.0}","own":"mine"}`, done.Get("result.body").Raw)

	for _, url := range []string{secretive.URL, "https://example.com/", "http://169.254.169.254/", strings.Replace(server.URL, "http://", "http://u:p@", 1)} {
		refused := s.send(t, http.MethodPost, "/v1/tasks", fmt.Sprintf(`{"url":%q}`, url))
		require.Equal(t, http.StatusBadRequest, refused.status, url)
		require.Equal(t, "url", gjson.GetBytes(refused.body, "error.param").Str)
	}
	before := calls.Load()
	away := s.ended(t, s.addID(t, fmt.Sprintf(`{"url":%q}`, server.URL+"/away")))
	require.Equal(t, "failed", away.Get("status").Str, "%s", away.Raw)
	require.Equal(t, before+1, calls.Load(), "no other attempt would end otherwise")
	require.Zero(t, reached.Load())
}

func TestHTTPTasksAreOffUnlessHostsAreListed(t *testing.T) {
	t.Parallel()
	refused := shared(t).send(t, http.MethodPost, "/v1/tasks", `{"url":"https://example.com/"}`)
	require.Equal(t, http.StatusBadRequest, refused.status)
	require.Contains(t, gjson.GetBytes(refused.body, "error.message").Str, "HEADRACE_ALLOWED_HOSTS")
}
