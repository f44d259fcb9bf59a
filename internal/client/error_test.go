package client_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/client"
	"github.com/headrace/headrace/internal/openai"
)

// calls makes every call that the client has.
func calls(ctx context.Context, c *client.Client) map[string]error {
	_, upload := c.Upload(ctx, "input.jsonl", strings.NewReader("{}\n"))
	_, create := c.CreateBatch(ctx, client.NewBatch{InputFileID: "file-1"})
	_, get := c.Batch(ctx, "batch_1")
	_, _, find := c.FindBatch(ctx, func(batch.Object) bool { return true })
	content, read := c.Content(ctx, "file-1")
	if read == nil {
		_ = content.Close()
	}
	_, queues := c.Queues(ctx)
	_, queue := c.Queue(ctx, "q", "task_1")
	_, change := c.ChangeQueue(ctx, "q", nil)
	return map[string]error{
		"upload": upload, "create": create, "get": get, "find": find, "content": read, "queues": queues, "queue": queue, "change": change,
	}
}

func TestAnErrorOfTheServerIsKeptWithItsStatus(t *testing.T) {
	t.Parallel()
	_, c := serve(t, answer(http.StatusConflict,
		`{"error":{"message":"Cannot do that.","type":"invalid_request_error","param":"p","code":"c"}}`))
	for name, err := range calls(t.Context(), c) {
		var e *openai.Error
		require.ErrorAs(t, err, &e, name)
		require.Equal(t, &openai.Error{
			Message: "Cannot do that.", Type: openai.TypeInvalidRequest, Param: new("p"), Code: new("c"), Status: http.StatusConflict,
		}, e)
		require.ErrorContains(t, err, "Cannot do that.")
		require.ErrorContains(t, err, "req_7", "whom to ask about")
		require.ErrorContains(t, err, "/v1/")
	}
}

func TestAnErrorWithoutAnEnvelopeIsToldByItsStatus(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "<html>bad gateway</html>", "{}", `{"error":null}`, `{"error":"text"}`, "[]", strings.Repeat("x", 200<<10)} {
		_, c := serve(t, answer(http.StatusBadGateway, body))
		for name, err := range calls(t.Context(), c) {
			require.ErrorContains(t, err, "502 Bad Gateway", name)
			require.ErrorContains(t, err, "/v1/", name)
			require.NotContains(t, err.Error(), "html")
			var e *openai.Error
			require.NotErrorAs(t, err, &e, name)
		}
	}
}

func TestAnAnswerThatIsNoJSONIsAnError(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "OK", `{"id":`, `{"id":7}`, "[]"} {
		_, c := serve(t, answer(http.StatusOK, body))
		for name, err := range calls(t.Context(), c) {
			if name == "content" {
				require.NoError(t, err, "it may be anything")
				continue
			}
			if slices.Contains([]string{"find", "queues", "queue", "change"}, name) && body == `{"id":7}` {
				require.NoError(t, err, "a list without elements, or a queue")
				continue
			}
			require.ErrorContains(t, err, "decode answer of ", "%s: %q", name, body)
		}
	}
}

func TestAServerThatIsGoneIsAnError(t *testing.T) {
	t.Parallel()
	s, c := serve(t, answer(http.StatusOK, "{}"))
	s.Close()
	for name, err := range calls(t.Context(), c) {
		require.ErrorContains(t, err, "connection refused", name)
	}
}

func TestAServerThatHangsUpIsAnError(t *testing.T) {
	t.Parallel()
	_, c := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	for name, err := range calls(t.Context(), c) {
		require.Error(t, err, name)
	}
}

// TestAServerThatCannotBeNamedIsAnError leaves nothing running behind: see
// TestMain.
func TestAServerThatCannotBeNamedIsAnError(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"http://host\x7f", "http://[::1", "nonsense", ""} {
		for name, err := range calls(t.Context(), client.New(base)) {
			require.Error(t, err, "%s at %q", name, base)
		}
	}
}
