package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	goopenai "github.com/sashabaranov/go-openai"
	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/simulator"
)

// system is a headrace that serves and the provider that it calls.
type system struct {
	url      string // without /v1
	upstream *simulator.Running
}

// common is the system that tests share which leave each other alone: each has
// files, batches and prompts of its own, and nobody changes the simulator.
var common struct {
	sync.Once

	system    *system
	processes []*process
	dir       string
}

// shared returns the common system, started by whoever asks first.
func shared(t *testing.T) *system {
	t.Helper()
	common.Do(func() {
		dir, err := os.MkdirTemp("", "headrace-shared") //nolint:usetesting // it outlives the test that asks first
		require.NoError(t, err)
		common.dir = dir
		up, err := simulator.Start(context.Background(), "127.0.0.1:0", simulator.Options{}, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		startShared(t, up)
	})
	require.NotNil(t, common.system, "the shared headrace did not start")
	t.Cleanup(func() {
		if t.Failed() {
			for _, p := range common.processes {
				t.Logf("stderr of the shared headrace %s:\n%s", p.cmd.Args[1], tail(p.stderr))
			}
		}
	})
	return common.system
}

// stopShared ends the common system after the last test.
func stopShared() {
	for _, p := range common.processes {
		p.kill()
	}
	if common.system != nil {
		_ = common.system.upstream.Stop(context.Background())
	}
	_ = os.RemoveAll(common.dir)
}

// goOpenAI is a sashabaranov/go-openai client.
func (s *system) goOpenAI() *goopenai.Client {
	c := goopenai.DefaultConfig("sk-test")
	c.BaseURL = s.url + "/v1"
	return goopenai.NewClientWithConfig(c)
}

// official is an openai/openai-go client that does not retry.
func (s *system) official() sdk.Client {
	return sdk.NewClient(option.WithBaseURL(s.url+"/v1"), option.WithAPIKey("sk-test"), option.WithMaxRetries(0))
}

// reply is an answer of the API.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// object is the JSON object of a reply, its numbers as they are written.
func (r reply) object(t *testing.T) map[string]any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(r.body))
	decoder.UseNumber()
	var o map[string]any
	require.NoError(t, decoder.Decode(&o), "body %q", r.body)
	return o
}

// send makes one request. Headers come as "Name: value".
func (s *system) send(t *testing.T, method, path, body string, headers ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	require.NoError(t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, res.Body.Close()) }()
	content, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return reply{status: res.StatusCode, header: res.Header, body: content}
}

// get makes a GET that must succeed.
func (s *system) get(t *testing.T, path string) reply {
	t.Helper()
	r := s.send(t, http.MethodGet, path, "")
	require.Equal(t, http.StatusOK, r.status, "%s", r.body)
	return r
}

// part is one of a multipart body; with a filename it is a file.
type part struct{ name, filename, content string }

// post uploads parts, in their order.
func (s *system) post(t *testing.T, parts ...part) reply {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, p := range parts {
		var w io.Writer
		var err error
		if p.filename != "" {
			w, err = form.CreateFormFile(p.name, p.filename)
		} else {
			w, err = form.CreateFormField(p.name)
		}
		require.NoError(t, err)
		_, err = io.WriteString(w, p.content)
		require.NoError(t, err)
	}
	require.NoError(t, form.Close())
	return s.send(t, http.MethodPost, "/v1/files", body.String(), "Content-Type: "+form.FormDataContentType())
}

// upload uploads the input of a batch and returns its id.
func (s *system) upload(t *testing.T, content string) string {
	t.Helper()
	r := s.post(t, part{name: "purpose", content: "batch"}, part{name: "file", filename: "input.jsonl", content: content})
	require.Equal(t, http.StatusOK, r.status, "%s", r.body)
	return r.object(t)["id"].(string)
}

// create starts a batch of chat completions and returns its id. extra is put
// into the request, with a comma before it.
func (s *system) create(t *testing.T, file, extra string) string {
	t.Helper()
	r := s.send(t, http.MethodPost, "/v1/batches", newBatch(file, extra))
	require.Equal(t, http.StatusOK, r.status, "%s", r.body)
	return r.object(t)["id"].(string)
}

// newBatch is the body of a request that creates a batch.
func newBatch(file, extra string) string {
	return fmt.Sprintf(`{"input_file_id":%q,"endpoint":"/v1/chat/completions","completion_window":"24h"%s}`, file, extra)
}

// batch returns a batch as it is now.
func (s *system) batch(t *testing.T, id string) map[string]any {
	t.Helper()
	return s.get(t, "/v1/batches/"+id).object(t)
}

// until waits until a batch has one of several states, and returns it then.
func (s *system) until(t *testing.T, id string, states ...string) map[string]any {
	t.Helper()
	var b map[string]any
	eventually(t, func() bool {
		b = s.batch(t, id)
		return slices.Contains(states, b["status"].(string))
	}, "batch %s never is one of %v", id, states)
	return b
}

// process runs content as a batch to its end and returns the batch.
func (s *system) process(t *testing.T, content string) map[string]any {
	t.Helper()
	return s.until(t, s.create(t, s.upload(t, content), ""), "completed", "failed", "expired", "cancelled")
}

// content is that of the file that a batch names in field, "" if none.
func (s *system) content(t *testing.T, b map[string]any, field string) string {
	t.Helper()
	id, ok := b[field].(string)
	if !ok {
		require.Nil(t, b[field])
		return ""
	}
	return string(s.get(t, "/v1/files/"+id+"/content").body)
}

// pollEvery is the time between two looks at something that will happen.
const pollEvery = 20 * time.Millisecond

// eventually polls until condition holds.
func eventually(t *testing.T, condition func() bool, format string, args ...any) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !condition() {
		require.Truef(t, time.Now().Before(deadline), format, args...)
		time.Sleep(pollEvery)
	}
}

// chatBody is the body of a chat completion. extra is put into it, with a comma
// before it.
func chatBody(prompt, extra string) string {
	return fmt.Sprintf(`{"model":"gpt-4o-mini","messages":[{"role":"user","content":%q}]%s}`, prompt, extra)
}

// chatLine is one line of a batch with a body of the caller's own.
func chatLine(id, body string) string {
	return fmt.Sprintf(`{"custom_id":%q,"method":"POST","url":"/v1/chat/completions","body":%s}`, id, body) + "\n"
}
