package e2e_test

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
)

// event is one of an event stream.
type event struct{ name, id, data string }

// events listens to an event stream from the event after last on, "" for its
// beginning. It calls hear with each event, and returns when that returns false
// or the stream has ended, whether by itself or with its server.
func (s *system) events(t *testing.T, path, last string, hear func(event) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	require.NoError(t, err)
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode == http.StatusNoContent {
		return
	}
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
	var e event
	scanner := bufio.NewScanner(res.Body)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		field, value, _ := strings.Cut(scanner.Text(), ": ")
		switch {
		case field == "event":
			e.name = value
		case field == "id":
			e.id = value
		case field == "data":
			e.data = value
		case scanner.Text() == "" && e.name != "":
			if !hear(e) {
				return
			}
			e = event{}
		}
	}
	require.NoError(t, ctx.Err(), "the stream does not end")
}

// keep appends what is heard to a list.
func keep(all *[]event) func(event) bool {
	return func(e event) bool {
		*all = append(*all, e)
		return true
	}
}

func TestEventsFollowABatchToItsEnd(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{Latency: latency(t, "uniform:100ms,200ms")})
	_, url := dev(t, t.TempDir(), up.URL())
	s := &system{url: url, upstream: up}
	o := submit(t, url, requests(300), concurrently(10))
	var all []event
	s.events(t, "/v1/batches/"+o.ID+"/events", "", keep(&all))
	require.NotEmpty(t, all)
	last := all[len(all)-1]
	require.Equal(t, "batch.completed", last.name)
	require.JSONEq(t, string(s.get(t, "/v1/batches/"+o.ID).body), last.data)
	done, progress := int64(-1), 0
	for _, e := range all {
		require.Equal(t, o.ID, gjson.Get(e.data, "id").Str)
		if e.name == "batch.progress" {
			progress++
			now := gjson.Get(e.data, "request_counts.completed").Int()
			require.Greater(t, now, done)
			done = now
		}
	}
	require.Positive(t, progress)

	var again []event
	s.events(t, "/v1/batches/"+o.ID+"/events", "", keep(&again))
	require.Equal(t, []event{last}, again, "a batch that has ended has its final event alone")
	s.events(t, "/v1/batches/"+o.ID+"/events", last.id, func(e event) bool {
		require.Fail(t, "heard twice", "%v", e)
		return false
	})
}

func TestEventsGoOnAfterARestartWhereTheyWere(t *testing.T) {
	t.Parallel()
	up, dir := sim(t, simulator.Options{Latency: latency(t, "uniform:100ms,200ms")}), t.TempDir()
	p, url := dev(t, dir, up.URL())
	s := &system{url: url, upstream: up}
	o := submit(t, url, requests(500), concurrently(10))
	path := "/v1/batches/" + o.ID + "/events"
	var all []event
	s.events(t, path, "", func(e event) bool {
		all = append(all, e)
		if len(all) == 3 {
			go p.kill()
		}
		return true
	})
	require.GreaterOrEqual(t, len(all), 3)
	_, s.url = dev(t, dir, up.URL())
	before := len(all)
	s.events(t, path, all[before-1].id, keep(&all))
	require.Equal(t, "batch.completed", all[len(all)-1].name)
	seen := map[string]bool{}
	for _, e := range all {
		require.False(t, seen[e.id], "%s was told twice", e.id)
		seen[e.id] = true
	}
	require.Equal(t, openai.Completed, awaitEnd(t, s.url, o.ID, openai.Completed).Status)
}

func TestAListenerDoesNotHoldUpTheEndOfDev(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{Down: true})
	p, url := dev(t, t.TempDir(), up.URL())
	s := &system{url: url, upstream: up}
	o := submit(t, url, requests(3), concurrently(3))
	var begun time.Time
	s.events(t, "/v1/batches/"+o.ID+"/events", "", func(e event) bool {
		require.Equal(t, "batch.in_progress", e.name)
		begun = time.Now()
		p.signal(syscall.SIGTERM)
		return true
	})
	require.Equal(t, 0, p.wait())
	t.Logf("dev ended %v after it was told to", time.Since(begun))
}
