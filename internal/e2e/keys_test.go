package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
	temporal "go.temporal.io/sdk/client"

	"github.com/headrace/headrace/api"
	"github.com/headrace/headrace/internal/apikey"
	"github.com/headrace/headrace/internal/simulator"
	"github.com/headrace/headrace/internal/store"
)

// keyed is a headrace whose API asks for keys, and its keys by name.
type keyed struct {
	*system

	keys map[string]string
	log  *output
}

// newKeyed starts an API in this process before a worker of its own.
func newKeyed(t *testing.T) *keyed {
	t.Helper()
	k := &keyed{keys: map[string]string{}, log: newOutput()}
	var keys []apikey.Key
	add := func(name, project string, scopes ...apikey.Scope) {
		key, hash := apikey.New()
		k.keys[name] = key.Reveal()
		keys = append(keys, apikey.Key{Name: name, Project: project, Hash: hash, Scopes: scopes})
	}
	add("shop", "shop", apikey.Submit, apikey.Read)
	add("rival", "rival", apikey.Submit, apikey.Read)
	add("shop-submit", "shop", apikey.Submit)
	add("operator", "rival", apikey.Operate)
	ring, err := apikey.NewRing(keys)
	require.NoError(t, err)

	up, dir := sim(t, simulator.Options{}), t.TempDir()
	_, address := devTemporal(t, dir, freePort(t), up.URL())
	c, err := temporal.DialContext(t.Context(), temporal.Options{HostPort: address, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	opened, err := store.Open(t.Context(), filepath.Join(dir, "store"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	handler := api.New(api.Options{Temporal: c, Store: opened, Logger: slog.New(slog.NewTextHandler(k.log, nil)), Keys: ring})
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	t.Cleanup(handler.Stop)
	k.system = &system{url: server.URL, upstream: up}
	return k
}

// as is an SDK with a key.
func (k *keyed) as(key string) sdk.Client {
	return sdk.NewClient(option.WithBaseURL(k.url+"/v1"), option.WithAPIKey(key), option.WithMaxRetries(0))
}

// ask asks for a chat completion.
func ask(ctx context.Context, c sdk.Client, prompt string, o ...option.RequestOption) (*sdk.ChatCompletion, error) {
	return c.Chat.Completions.New(ctx, sdk.ChatCompletionNewParams{
		Model: "gpt-4o-mini", Messages: []sdk.ChatCompletionMessageParamUnion{sdk.UserMessage(prompt)},
	}, o...)
}

// refused is the error with which the API answers.
func refused(t *testing.T, err error, status int) *sdk.Error {
	t.Helper()
	var e *sdk.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, status, e.StatusCode, "%s", e.RawJSON())
	return e
}

// TestTwoProjectsShareAHeadraceAndNothingElse lets two projects do the same with
// the official SDK.
func TestTwoProjectsShareAHeadraceAndNothingElse(t *testing.T) {
	t.Parallel()
	k, ctx := newKeyed(t), t.Context()
	shop, rival, submitter := k.as(k.keys["shop"]), k.as(k.keys["rival"]), k.as(k.keys["shop-submit"])

	// Calls. The same call may be shared within a project, not between two.
	share := option.WithJSONSet("headrace.cache", "1h")
	body := unique("Shared within a project")
	for _, c := range []sdk.Client{shop, submitter, rival} {
		answer, err := ask(ctx, c, body, share)
		require.NoError(t, err)
		require.Equal(t, "Echo: "+body, answer.Choices[0].Message.Content)
	}
	require.Equal(t, int64(2), k.upstream.Stats().Calls, "one for each project")

	// Batches.
	file, err := shop.Files.New(ctx, sdk.FileNewParams{
		File: sdk.File(bytes.NewReader([]byte(requests(3))), "in.jsonl", "application/jsonl"), Purpose: sdk.FilePurposeBatch,
	})
	require.NoError(t, err)
	b, err := shop.Batches.New(ctx, sdk.BatchNewParams{
		InputFileID: file.ID, Endpoint: sdk.BatchNewParamsEndpointV1ChatCompletions, CompletionWindow: "24h",
	})
	require.NoError(t, err)
	eventually(t, func() bool {
		b, err = shop.Batches.Get(ctx, b.ID)
		return err == nil && b.Status == sdk.BatchStatusCompleted
	}, "the batch does not end")
	output, err := shop.Files.Content(ctx, b.OutputFileID)
	require.NoError(t, err)
	require.Len(t, lines(t, output.Body), 3)
	require.NoError(t, output.Body.Close())
	stolen, err := rival.Batches.New(ctx, sdk.BatchNewParams{
		InputFileID: file.ID, Endpoint: sdk.BatchNewParamsEndpointV1ChatCompletions, CompletionWindow: "24h",
	})
	require.NoError(t, err, "as with a file that there is not")
	eventually(t, func() bool {
		stolen, err = rival.Batches.Get(ctx, stolen.ID)
		return err == nil && stolen.Status == sdk.BatchStatusFailed
	}, "a batch of another's file does not fail")

	// Responses.
	r, err := shop.Responses.New(ctx, responses.ResponseNewParams{
		Model: "gpt-4o-mini", Background: sdk.Bool(true), Input: responses.ResponseNewParamsInputUnion{OfString: sdk.String("Mine")},
	})
	require.NoError(t, err)
	eventually(t, func() bool {
		r, err = shop.Responses.Get(ctx, r.ID, responses.ResponseGetParams{})
		return err == nil && r.Status == responses.ResponseStatusCompleted
	}, "the response does not end")

	// What is another's is not there.
	_, contentErr := rival.Files.Content(ctx, b.OutputFileID) //nolint:bodyclose // there is none
	for what, err := range map[string]error{
		"file":     second(rival.Files.Get(ctx, file.ID)),
		"content":  contentErr,
		"deletion": second(rival.Files.Delete(ctx, file.ID)),
		"batch":    second(rival.Batches.Get(ctx, b.ID)),
		"cancel":   second(rival.Batches.Cancel(ctx, b.ID)),
		"response": second(rival.Responses.Get(ctx, r.ID, responses.ResponseGetParams{})),
		"delete":   rival.Responses.Delete(ctx, r.ID),
	} {
		require.NotContains(t, refused(t, err, http.StatusNotFound).RawJSON(), "shop", what)
	}
	theirs, err := rival.Files.List(ctx, sdk.FileListParams{})
	require.NoError(t, err)
	require.Empty(t, theirs.Data)
	_, err = shop.Files.Get(ctx, file.ID)
	require.NoError(t, err)

	require.Equal(t, "missing_scope", refused(t, second(submitter.Batches.Get(ctx, b.ID)), http.StatusForbidden).Code)
	require.Equal(t, "invalid_api_key", refused(t, second(ask(ctx, k.as("sk-test"), "Hello")), http.StatusUnauthorized).Code)
	for name, key := range k.keys {
		require.NotContains(t, k.log.String(), key, name)
	}
}

func second[T any](_ T, err error) error { return err }

// TestCommandsWorkWithAKey uses the commands that speak to a server.
func TestCommandsWorkWithAKey(t *testing.T) {
	t.Parallel()
	k := newKeyed(t)
	j := newJob(t, requests(2))
	env := func(name string) []string { return []string{"HEADRACE_API_KEY=" + k.keys[name]} }
	p := start(t, env("shop"), "run", j.input, "-o", j.output, "--server", k.url)
	require.Equal(t, 0, p.wait(), p.stderr)
	require.Equal(t, []string{"r-1", "r-2"}, ids(t, read(t, j.output)))
	p = start(t, env("operator"), "queue", "ls", "--server", k.url)
	require.Equal(t, 0, p.wait(), p.stderr)

	p = start(t, env("operator"), "queue", "pause", "default", "--server", k.url)
	require.Equal(t, 1, p.wait())
	require.Contains(t, p.stderr.String(), "Missing scopes: admin. ")
	p = start(t, nil, "queue", "ls", "--server", k.url)
	require.Equal(t, 1, p.wait())
	require.Contains(t, p.stderr.String(), "Set HEADRACE_API_KEY")
}

// TestNoProjectHearsOfAnothersTasks has tasks of two projects under way at the
// same time.
func TestNoProjectHearsOfAnothersTasks(t *testing.T) {
	t.Parallel()
	k := newKeyed(t)
	auth := func(name string) string { return "Authorization: Bearer " + k.keys[name] }
	const once = "Idempotency-Key: the same"
	slow := chatTask(directed("Slow", "latency=1s"), "")
	tasks := map[string]string{}
	var all sync.WaitGroup
	for _, name := range []string{"shop", "rival"} {
		tasks[name] = k.add(t, slow, auth(name), once).Get("id").Str
	}
	require.NotEqual(t, tasks["shop"], tasks["rival"])
	for name, other := range map[string]string{"shop": "rival", "rival": "shop"} {
		for _, path := range []string{"", "?wait=10s", "/events"} {
			all.Go(func() {
				r := k.send(t, http.MethodGet, "/v1/tasks/"+tasks[other]+path, "", auth(name))
				if r.status != http.StatusNotFound || strings.Contains(string(r.body), "task.completed") {
					t.Error(fmt.Sprint(r.status, string(r.body)))
				}
			})
		}
		require.Equal(t, http.StatusNotFound, k.send(t, http.MethodPost, "/v1/tasks/"+tasks[other]+"/cancel", "", auth(name)).status)
		listed := gjson.ParseBytes(k.send(t, http.MethodGet, "/v1/tasks", "", auth(name)).body).Get("data.#.id").Array()
		require.Len(t, listed, 1)
		require.Equal(t, tasks[name], listed[0].Str)
	}
	all.Wait()
	for name := range tasks {
		r := k.send(t, http.MethodGet, "/v1/tasks/"+tasks[name]+"?wait=60s", "", auth(name))
		require.Equal(t, "completed", gjson.GetBytes(r.body, "status").Str, "%s", r.body)
	}
}
