package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/simulator"
)

// chatTask asks for a chat completion. options are put beside its body, with a
// comma before them.
func chatTask(body, options string) string {
	return fmt.Sprintf(`{"url":"/v1/chat/completions","body":%s%s}`, body, options)
}

// directed is the body of a chat completion that tells the simulator how to
// behave.
func directed(prompt, directive string) string {
	return chatBody(prompt, fmt.Sprintf(`,"user":"sim:%s"`, directive))
}

// add posts a task, which must be accepted, and returns it.
func (s *system) add(t *testing.T, body string, headers ...string) gjson.Result {
	t.Helper()
	r := s.send(t, http.MethodPost, "/v1/tasks", body, headers...)
	require.Equal(t, http.StatusAccepted, r.status, "%s", r.body)
	return gjson.ParseBytes(r.body)
}

// addID posts a task and returns its id.
func (s *system) addID(t *testing.T, body string) string {
	t.Helper()
	return s.add(t, body).Get("id").Str
}

// task returns a task as it is now.
func (s *system) task(t *testing.T, id string) gjson.Result {
	t.Helper()
	return gjson.ParseBytes(s.get(t, "/v1/tasks/"+id).body)
}

// finalStates are those in which a task changes no more.
var finalStates = []string{"completed", "failed", "cancelled"}

// ended waits until a task has ended, and returns it.
func (s *system) ended(t *testing.T, id string) gjson.Result {
	t.Helper()
	for deadline := time.Now().Add(2 * patience); ; {
		o := gjson.ParseBytes(s.get(t, "/v1/tasks/"+id+"?wait=20s").body)
		if slices.Contains(finalStates, o.Get("status").Str) {
			return o
		}
		require.True(t, time.Now().Before(deadline), "task %s never ends: %s", id, o.Raw)
	}
}

// completed waits until a task has ended well, and returns it.
func (s *system) completed(t *testing.T, id string) gjson.Result {
	t.Helper()
	o := s.ended(t, id)
	require.Equal(t, "completed", o.Get("status").Str, "%s", o.Raw)
	return o
}

// awaitTask waits until a task is as it should be, and returns it then.
func (s *system) awaitTask(t *testing.T, id, what string, is func(gjson.Result) bool) gjson.Result {
	t.Helper()
	var o gjson.Result
	eventually(t, func() bool {
		o = s.task(t, id)
		return is(o)
	}, "task %s is never %s", id, what)
	return o
}

// calling says whether a task's call is under way.
func calling(o gjson.Result) bool { return o.Get("status").Str == "in_progress" }

// cancelTask asks for the end of a task.
func (s *system) cancelTask(t *testing.T, id string) reply {
	t.Helper()
	return s.send(t, http.MethodPost, "/v1/tasks/"+id+"/cancel", "")
}

// booth is a way into a simulator that keeps the bodies of calls in the order in
// which they come, and what each was answered last.
type booth struct {
	url string

	mu      sync.Mutex
	bodies  []string
	answers map[string]string
}

func newBooth(t *testing.T, up *simulator.Simulator) *booth {
	t.Helper()
	b := &booth{answers: map[string]string{}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			b.mu.Lock()
			b.bodies = append(b.bodies, string(body))
			b.mu.Unlock()
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		tee := &teeWriter{ResponseWriter: w}
		up.ServeHTTP(tee, r)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.answers[string(body)] = tee.text.String()
	}))
	t.Cleanup(s.Close)
	b.url = s.URL + "/v1"
	return b
}

// teeWriter keeps what is written.
type teeWriter struct {
	http.ResponseWriter

	text strings.Builder
}

func (w *teeWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *teeWriter) Write(p []byte) (int, error) {
	w.text.Write(p)
	return w.ResponseWriter.Write(p)
}

// answer is what a body was answered last.
func (b *booth) answer(body string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.answers[body]
}

// seen are the bodies so far.
func (b *booth) seen() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.bodies)
}

// prompts are what the bodies so far ask.
func (b *booth) prompts() []string {
	var all []string
	for _, body := range b.seen() {
		all = append(all, gjson.Get(body, "messages.0.content").Str)
	}
	return all
}

// list makes a JSON array of texts.
func list(texts ...string) string { return "[" + strings.Join(texts, ",") + "]" }

// idsOf are the ids of the elements of a list.
func idsOf(o gjson.Result) []string {
	var ids []string
	for _, element := range o.Get("data").Array() {
		ids = append(ids, element.Get("id").Str)
	}
	return ids
}
