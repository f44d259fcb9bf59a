package sse_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/sse"
)

func TestAnEventHasAsManyDataLinesAsItsData(t *testing.T) {
	t.Parallel()
	for want, event := range map[string]sse.Event{
		"event: task.queued\nid: 3\ndata: {}\n\n": {Name: "task.queued", ID: "3", Data: []byte("{}")},
		"data: a\ndata: b\ndata: \ndata: c\n\n":   {Data: []byte("a\nb\r\n\rc")},
		"data: \n\n":                              {},
		"data: a\ndata: \n\n":                     {Data: []byte("a\n")},
		"data:  a\n\n":                            {Data: []byte(" a")},
	} {
		w := httptest.NewRecorder()
		require.NoError(t, sse.NewWriter(w, time.Minute).Event(event))
		require.Equal(t, want, w.Body.String())
		require.True(t, w.Flushed)
	}
}

func TestANameOrAnIDOfManyLinesIsAnError(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a\nb", "a\rb", "\n", "a\x00"} {
		for _, event := range []sse.Event{{Name: text}, {ID: text}} {
			w := httptest.NewRecorder()
			require.ErrorContains(t, sse.NewWriter(w, time.Minute).Event(event), "is not one line")
			require.Zero(t, w.Body.Len())
		}
	}
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	t.Parallel()
	line := rapid.StringMatching(`[^\r\n\x00]*`)
	rapid.Check(t, func(t *rapid.T) {
		e := sse.Event{
			Name: line.Draw(t, "name"), ID: line.Draw(t, "id"),
			Data: []byte(strings.Join(rapid.SliceOfN(line, 1, 4).Draw(t, "data"), "\n")),
		}
		recorder := httptest.NewRecorder()
		w := sse.NewWriter(recorder, time.Minute)
		require.NoError(t, w.Open())
		require.NoError(t, w.Heartbeat())
		require.NoError(t, w.Event(e))
		got, err := frames(recorder.Body, noLimit)
		require.Equal(t, io.EOF, err)
		require.Len(t, got, 2)
		require.Nil(t, got[0].Data, "a heartbeat is no event")
		require.Equal(t, sse.Event{Name: got[1].Event, ID: got[1].ID, Data: got[1].Data}, e)
	})
}

// open answers requests by handle and makes one, whose body the caller closes.
func open(t *testing.T, handle http.HandlerFunc) *http.Response {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
	require.NoError(t, err)
	res, err := server.Client().Do(r)
	require.NoError(t, err)
	return res
}

func TestAStreamBeginsBeforeItsFirstEvent(t *testing.T) {
	t.Parallel()
	seen := make(chan struct{})
	res := open(t, func(rw http.ResponseWriter, _ *http.Request) {
		w := sse.NewWriter(rw, patience)
		if w.Open() == nil {
			<-seen
			_ = w.Raw([]byte("data: as it is\r\n\r\n"))
		}
	})
	defer func() { _ = res.Body.Close() }()
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
	require.Equal(t, "no-cache", res.Header.Get("Cache-Control"))
	close(seen)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, "data: as it is\r\n\r\n", string(body))
}

func TestAClientThatStopsReadingIsDropped(t *testing.T) {
	t.Parallel()
	dropped := make(chan error, 1)
	res := open(t, func(rw http.ResponseWriter, _ *http.Request) {
		w := sse.NewWriter(rw, 50*time.Millisecond)
		frame := append(bytes.Repeat([]byte{':'}, 1<<20), "\n\n"...)
		err := w.Open()
		for err == nil {
			err = w.Raw(frame)
		}
		dropped <- err
	})
	defer func() { _ = res.Body.Close() }()
	select {
	case err := <-dropped:
		require.ErrorContains(t, err, "i/o timeout")
	case <-time.After(patience):
		require.Fail(t, "the client is still served")
	}
}
