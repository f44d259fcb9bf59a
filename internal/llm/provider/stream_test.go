package provider_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/llm/provider"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/sse"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// streaming is the body of a call that asks for a stream and carries a
// directive for the simulator.
func streaming(endpoint openai.Endpoint, directive string) string {
	fields := map[string]any{"model": "gpt-4o-mini", "user": directive, "stream": true}
	const text = "What is a headrace, and what has it to do with mills?"
	switch endpoint {
	case openai.ChatCompletions:
		fields["messages"] = []map[string]string{{"role": "user", "content": text}}
		fields["stream_options"] = map[string]bool{"include_usage": true}
	case openai.Completions:
		fields["prompt"] = text
	case openai.Responses, openai.Embeddings, openai.Moderations:
		fields["input"] = text
	}
	body, err := json.Marshal(fields)
	if err != nil {
		panic(err) // plain values: it cannot fail
	}
	return string(body)
}

// stream makes a streaming call, which has a minute, and returns the bytes of
// all frames together.
func stream(ctx context.Context, p *provider.Provider, endpoint openai.Endpoint, body string) (string, llm.Response, error) {
	var raw strings.Builder
	response, err := p.Stream(ctx, llm.Request{Endpoint: endpoint, Model: "m", Body: []byte(body), Timeout: time.Minute}, func(f sse.Frame) error {
		raw.Write(f.Raw)
		return nil
	})
	return raw.String(), response, err
}

// streamFailure makes a chat completion of which an *llm.Error must come.
func streamFailure(t *testing.T, p *provider.Provider, endpoint openai.Endpoint, body string) (string, llm.Response, *llm.Error) {
	t.Helper()
	raw, response, err := stream(t.Context(), p, endpoint, body)
	var e *llm.Error
	require.ErrorAs(t, err, &e)
	return raw, response, e
}

// streams answers with the pieces, each flushed, and ends.
func streams(pieces ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		w.Header().Set("X-Request-Id", "req_7")
		for _, piece := range pieces {
			_, _ = io.WriteString(w, piece)
			_ = http.NewResponseController(w).Flush()
		}
	}
}

// bare makes the same call without anything in between.
func bare(t *testing.T, url, body string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	defer http.DefaultClient.CloseIdleConnections()
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(raw)
}

func TestAStreamIsHandedOnAsItIs(t *testing.T) {
	t.Parallel()
	run := startSimulator(t)
	p := newProvider(t, provider.Config{BaseURL: run.URL()})
	for _, endpoint := range []openai.Endpoint{openai.ChatCompletions, openai.Completions, openai.Responses} {
		body := streaming(endpoint, "")
		raw, response, err := stream(t.Context(), p, endpoint, body)
		require.NoError(t, err, endpoint)
		require.Equal(t, bare(t, strings.TrimSuffix(run.URL(), "/v1")+string(endpoint), body), raw)
		require.Equal(t, http.StatusOK, response.Status)
		require.Regexp(t, "^req_", response.RequestID)
		require.Contains(t, response.Header.Get("Content-Type"), "text/event-stream")
		require.Nil(t, response.Body)
		if endpoint != openai.Completions { // which was not asked for its usage
			require.Positive(t, response.Usage.OutputTokens, endpoint)
			require.Equal(t, response.Usage.InputTokens+response.Usage.OutputTokens, response.Usage.TotalTokens)
		}
	}
}

func TestTheBodyOfAStreamingRequestArrivesAsItIs(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, streams("data: {}\n\ndata: [DONE]\n\n"))
	p := newProvider(t, provider.Config{BaseURL: u.URL + "/v1"})
	for name, body := range oddBodies() {
		_, _, err := stream(t.Context(), p, openai.ChatCompletions, body)
		require.NoError(t, err, name)
		got := u.last(t)
		require.Equal(t, body, string(got.body), name)
		require.Equal(t, "/v1/chat/completions", got.url)
		require.Equal(t, []string{"text/event-stream"}, got.header.Values("Accept"))
	}
}

func TestFramesKeepTheirOddities(t *testing.T) {
	t.Parallel()
	for endpoint, raw := range map[openai.Endpoint]string{
		openai.ChatCompletions: ": OPENROUTER PROCESSING\n\n\ufeffdata: {\"a\" : 1.0}\r\n\r\nid: 1\nretry: 5\ndata: {\ndata: }\n\nevent: x\n\ndata: nonsense\n\n" +
			"data:  [DONE] \n\n: after the end\n\n",
		openai.Responses: "event: response.created\ndata: {}\n\nevent: response.completed\ndata: {\"response\":{\"usage\":{\"input_tokens\":3}}}\n\ndata: [DONE]\n\n",
	} {
		got, response, err := stream(t.Context(), newProvider(t, provider.Config{BaseURL: startUpstream(t, streams(raw)).URL}), endpoint, "{}")
		require.NoError(t, err)
		require.Equal(t, raw, got)
		if endpoint == openai.Responses {
			require.Equal(t, openai.Usage{InputTokens: 3}, response.Usage)
		}
	}
}

func TestAFrameIsHandedOnBeforeTheNextIsSent(t *testing.T) {
	t.Parallel()
	seen := make(chan struct{})
	u := startUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			_, _ = fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
			<-seen
		}
		_, _ = io.WriteString(w, "data: [DONE]\n\n")
	})
	p := newProvider(t, provider.Config{BaseURL: u.URL})
	var got []string
	_, err := p.Stream(t.Context(), llm.Request{Endpoint: openai.ChatCompletions, Timeout: patience}, func(f sse.Frame) error {
		if got = append(got, string(f.Data)); len(got) <= 3 {
			seen <- struct{}{}
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []string{"0", "1", "2", "[DONE]"}, got)
}

func TestTheLastUsageStands(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, streams(
		"data: {\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\n", "data: {\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n",
		"data: {\"usage\":null}\n\n", "data: [DONE]\n\n"))
	_, response, err := stream(t.Context(), newProvider(t, provider.Config{BaseURL: u.URL}), openai.ChatCompletions, "{}")
	require.NoError(t, err)
	require.Equal(t, openai.Usage{InputTokens: 3, OutputTokens: 2}, response.Usage)
}

func TestAProviderThatAnswersInOnePieceIsTakenAtItsWord(t *testing.T) {
	t.Parallel()
	answer := `{ "usage" : {"prompt_tokens":3} }`
	u := startUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, answer)
	})
	p := newProvider(t, provider.Config{BaseURL: u.URL})
	for _, endpoint := range openai.Endpoints() {
		raw, response, err := stream(t.Context(), p, endpoint, "{}")
		require.NoError(t, err)
		require.Empty(t, raw)
		require.Equal(t, answer, string(response.Body))
		require.Equal(t, openai.Usage{InputTokens: 3}, response.Usage)
	}
}

func TestAStreamThatIsRefusedIsTheErrorThatACallGets(t *testing.T) {
	t.Parallel()
	run := startSimulator(t)
	p := newProvider(t, provider.Config{BaseURL: run.URL()})
	for directive, kind := range map[string]llm.Kind{
		"sim:status=400": llm.Permanent, "sim:status=401": llm.Refused, "sim:status=429;retry-after=2": llm.Throttled,
		"sim:status=429;code=insufficient_quota": llm.Exhausted, "sim:status=503": llm.Transient, "sim:html": llm.Transient, "sim:cut": llm.Transient,
	} {
		raw, _, got := streamFailure(t, p, openai.ChatCompletions, streaming(openai.ChatCompletions, directive))
		require.Empty(t, raw)
		require.Equal(t, kind, got.Kind, directive)
		want := failure(t, p, question(directive))
		require.Equal(t, want.Status, got.Status)
		require.Equal(t, want.Code, got.Code)
		require.Equal(t, want.RetryAfter, got.RetryAfter)
		require.Equal(t, string(want.Body), string(got.Body))
	}
	_, _, e := streamFailure(t, newProvider(t, provider.Config{BaseURL: "http://127.0.0.1:0"}), openai.ChatCompletions, "{}")
	require.Equal(t, llm.Unreachable, e.Kind)
	_, _, err := stream(t.Context(), p, "/v1/images/generations", "{}")
	require.ErrorContains(t, err, "cannot be called")
}

func TestAStreamThatBreaksOffIsTransient(t *testing.T) {
	t.Parallel()
	run := startSimulator(t)
	p := newProvider(t, provider.Config{BaseURL: run.URL()})
	for _, directive := range []string{"sim:middle", "sim:half"} {
		for _, endpoint := range []openai.Endpoint{openai.ChatCompletions, openai.Completions, openai.Responses} {
			raw, response, e := streamFailure(t, p, endpoint, streaming(endpoint, directive))
			require.Equal(t, llm.Transient, e.Kind, "%s %s", directive, endpoint)
			require.Equal(t, llm.CodeConnection, e.Code)
			require.Equal(t, http.StatusOK, e.Status)
			require.Regexp(t, "^req_", e.RequestID)
			require.NotNil(t, e.Header)
			require.Equal(t, http.StatusOK, response.Status)
			require.True(t, strings.HasSuffix(raw, "\n\n"), "whole frames only")
			require.ErrorIs(t, e, io.ErrUnexpectedEOF)
		}
	}
}

func TestAStreamWithoutItsLastEventHasBrokenOff(t *testing.T) {
	t.Parallel()
	for endpoint, raw := range map[openai.Endpoint]string{
		openai.ChatCompletions: "data: {\"usage\":{\"prompt_tokens\":3}}\n\n",
		openai.Completions:     "data: {}\n\nevent: response.completed\ndata: {\"type\":\"response.completed\"}\n\n",
		openai.Responses:       "event: response.created\ndata: {}\n\ndata: [DONE]\n\n",
	} {
		for _, rest := range []string{"", "event: response.completed\ndata: {\"type\":\"response.completed\"", "data: [DON"} {
			u := startUpstream(t, streams(raw+rest))
			got, response, e := streamFailure(t, newProvider(t, provider.Config{BaseURL: u.URL}), endpoint, "{}")
			require.Equal(t, llm.Transient, e.Kind)
			require.Contains(t, e.Message, "broke off")
			require.Equal(t, raw, got, "%s %q", endpoint, rest)
			if endpoint == openai.ChatCompletions {
				require.Equal(t, openai.Usage{InputTokens: 3}, response.Usage, "what is known")
			}
		}
	}
}

func TestTheLastEventCountsWithoutItsEmptyLine(t *testing.T) {
	t.Parallel()
	for raw, endpoint := range map[string]openai.Endpoint{
		"data: {}\n\ndata: [DONE]\n": openai.ChatCompletions, "data: {}\n\ndata: [DONE]": openai.Completions,
		"event: x\ndata: {\"type\":\"response.incomplete\"}\n": openai.Responses,
	} {
		got, _, err := stream(t.Context(), newProvider(t, provider.Config{BaseURL: startUpstream(t, streams(raw)).URL}), endpoint, "{}")
		require.NoError(t, err)
		require.Equal(t, raw, got)
	}
}

func TestEachWayToEndAResponseIsAnEnd(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"response.completed", "response.failed", "response.incomplete", "response.cancelled"} {
		raw := "event: " + kind + "\ndata: {\"type\":\"" + kind + "\",\"response\":{\"error\":{\"code\":\"server_error\"}}}\n\n"
		got, _, err := stream(t.Context(), newProvider(t, provider.Config{BaseURL: startUpstream(t, streams(raw)).URL}), openai.Responses, "{}")
		require.NoError(t, err)
		require.Equal(t, raw, got)
	}
}

func TestAnEventThatSaysThatTheProviderHasFailedIsTheError(t *testing.T) {
	t.Parallel()
	for endpoint, data := range map[openai.Endpoint]string{
		openai.ChatCompletions: `{"error":{"message":"sorry","code":"busy"}}`,
		openai.Responses:       `{"type":"error","code":"busy","message":"sorry","sequence_number":3}`,
	} {
		u := startUpstream(t, streams("data: {\"usage\":{\"prompt_tokens\":3}}\n\n", "event: error\ndata: "+data+"\n\n", "data: [DONE]\n\n"))
		raw, response, e := streamFailure(t, newProvider(t, provider.Config{BaseURL: u.URL}), endpoint, "{}")
		require.Equal(t, "data: {\"usage\":{\"prompt_tokens\":3}}\n\n", raw, "the frame is not handed on")
		require.Equal(t, llm.Error{
			Kind: llm.Transient, Status: http.StatusOK, RequestID: "req_7", Header: e.Header, Body: []byte(data), Code: "busy", Message: "sorry", Err: e.Err,
		}, *e)
		require.Equal(t, openai.Usage{InputTokens: 3}, response.Usage)
	}
}

func TestAFrameThatIsTooLargeIsAnError(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = w.Write([]byte("data: 1\n\ndata: "))
		for err := error(nil); err == nil; {
			_, err = w.Write([]byte(strings.Repeat("x", 1<<20)))
		}
	})
	raw, _, e := streamFailure(t, newProvider(t, provider.Config{BaseURL: u.URL}), openai.ChatCompletions, "{}")
	require.Equal(t, "data: 1\n\n", raw)
	require.Equal(t, llm.CodeInvalid, e.Code)
	require.ErrorIs(t, e, sse.ErrTooLarge)
}

func TestWhoeverTakesTheFramesCanEndTheCall(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	u := startUpstream(t, neverEnding(left))
	p := newProvider(t, provider.Config{BaseURL: u.URL})
	enough := errors.New("enough")
	frames := 0
	response, err := p.Stream(t.Context(), llm.Request{Endpoint: openai.ChatCompletions, Timeout: time.Minute}, func(sse.Frame) error {
		if frames++; frames == 2 {
			return enough
		}
		return nil
	})
	require.Equal(t, enough, err, "the very error")
	require.Equal(t, 2, frames)
	require.Equal(t, http.StatusOK, response.Status)
	<-left
}
