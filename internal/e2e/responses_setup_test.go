package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// inBackground is the body of a request for a response in the background. extra
// is put into it, with a comma before it.
func inBackground(input, extra string) string {
	return fmt.Sprintf(`{"model":"gpt-4o-mini","input":%q,"background":true%s}`, input, extra)
}

// respond asks for a response, which must be accepted, and returns it.
func (s *system) respond(t *testing.T, body string, headers ...string) gjson.Result {
	t.Helper()
	r := s.send(t, http.MethodPost, "/v1/responses", body, headers...)
	require.Equal(t, http.StatusOK, r.status, "%s", r.body)
	return gjson.ParseBytes(r.body)
}

// response returns a response as it is now.
func (s *system) response(t *testing.T, id string) gjson.Result {
	t.Helper()
	return gjson.ParseBytes(s.get(t, "/v1/responses/"+id).body)
}

// responded waits until a response has ended, and returns it.
func (s *system) responded(t *testing.T, id string) gjson.Result {
	t.Helper()
	var o gjson.Result
	eventually(t, func() bool {
		o = s.response(t, id)
		return !slices.Contains([]string{"queued", "in_progress"}, o.Get("status").Str)
	}, "response %s never ends", id)
	return o
}

// awaitResponse waits until a response has a status.
func (s *system) awaitResponse(t *testing.T, id, status string) gjson.Result {
	t.Helper()
	var o gjson.Result
	eventually(t, func() bool {
		o = s.response(t, id)
		return o.Get("status").Str == status
	}, "response %s is never %s", id, status)
	return o
}

// told is an event of a response as it came.
type told struct {
	name string
	data gjson.Result
}

// number is the event's place in the stream.
func (e told) number() int64 { return e.data.Get("sequence_number").Int() }

// teller is a stream that somebody reads event by event.
type teller struct {
	t      *testing.T
	body   io.ReadCloser
	lines  *bufio.Scanner
	cancel context.CancelFunc
}

// open opens a stream of a response's events.
func (s *system) open(t *testing.T, method, path, body string) *teller {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req) //nolint:bodyclose // close does
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
	w := &teller{t: t, body: res.Body, lines: bufio.NewScanner(res.Body), cancel: cancel}
	w.lines.Buffer(nil, 64<<20)
	t.Cleanup(w.close)
	return w
}

// resume opens the stream of a response after the event with a number.
func (s *system) resume(t *testing.T, id string, after int64) *teller {
	t.Helper()
	return s.open(t, http.MethodGet, fmt.Sprintf("/v1/responses/%s?stream=true&starting_after=%d", id, after), "")
}

// close leaves a stream. It may be called more than once.
func (w *teller) close() {
	w.cancel()
	_ = w.body.Close()
}

// next returns the next event, false when there are no more. It checks that an
// event is a line with its name and one with its data.
func (w *teller) next() (told, bool) {
	w.t.Helper()
	var block []string
	for w.lines.Scan() {
		line := w.lines.Text()
		switch {
		case line == "" && len(block) > 0:
			require.Len(w.t, block, 2, "%q", block)
			name, named := strings.CutPrefix(block[0], "event: ")
			data, given := strings.CutPrefix(block[1], "data: ")
			require.True(w.t, named && given && gjson.Valid(data), "%q", block)
			e := told{name: name, data: gjson.Parse(data)}
			require.Equal(w.t, name, e.data.Get("type").Str)
			return e, true
		case line != "" && line[0] != ':':
			block = append(block, line)
		}
	}
	return told{}, false
}

// some returns the next n events, which must come.
func (w *teller) some(n int) []told {
	w.t.Helper()
	var all []told
	for range n {
		e, ok := w.next()
		require.True(w.t, ok, "the stream ends after %d of %d events", len(all), n)
		all = append(all, e)
	}
	return all
}

// rest returns all events that are left.
func (w *teller) rest() []told {
	w.t.Helper()
	var all []told
	for {
		e, ok := w.next()
		if !ok {
			return all
		}
		all = append(all, e)
	}
}

// requireTold checks what holds for every whole stream of a response, and
// returns its id.
func requireTold(t *testing.T, all []told) string {
	t.Helper()
	require.GreaterOrEqual(t, len(all), 2)
	id := all[0].data.Get("response.id").Str
	for n, name := range []string{"response.created", "response.queued"} {
		require.Equal(t, name, all[n].name)
		require.EqualValues(t, n, all[n].number())
		require.Equal(t, "queued", all[n].data.Get("response.status").Str)
	}
	require.Regexp(t, `^resp_[0-9a-z]{26}_0$`, id)
	last := int64(-1)
	for _, e := range all {
		require.Greater(t, e.number(), last, "numbers increase")
		last = e.number()
		if e.data.Get("response").Exists() {
			require.Equal(t, id, e.data.Get("response.id").Str)
			require.True(t, e.data.Get("response.background").Bool())
		}
	}
	return id
}

// textOf is what the deltas of a stream add up to, from where the provider last
// began.
func textOf(all []told) string {
	var text strings.Builder
	for i, e := range all {
		switch {
		case e.name == "response.created" && i > 0:
			text.Reset()
		case e.name == "response.output_text.delta":
			text.WriteString(e.data.Get("delta").Str)
		}
	}
	return text.String()
}

// unique makes a text that no other test asks.
func unique(text string) string { return fmt.Sprintf("%s (%d)", text, time.Now().UnixNano()) }
