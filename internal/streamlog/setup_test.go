package streamlog_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/streamlog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = time.Minute

// never is longer than any test.
const never = time.Hour

func openStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

var streams atomic.Int64

// newStream returns a stream that no other test uses.
func newStream() streamlog.Stream {
	return streamlog.Stream{Project: "default", Group: "group" + strconv.FormatInt(streams.Add(1), 10), N: 7}
}

// begin takes a log over for an attempt, which crashes at the end of the test
// unless it has closed it.
func begin(t *testing.T, logs *streamlog.Logs, s streamlog.Stream) *streamlog.Log {
	t.Helper()
	log, err := logs.Open(t.Context(), s)
	require.NoError(t, err)
	t.Cleanup(log.Crash)
	return log
}

// add appends frames that are texts.
func add(t *testing.T, log *streamlog.Log, frames ...string) {
	t.Helper()
	for _, f := range frames {
		_, err := log.Append(t.Context(), []byte(f))
		require.NoError(t, err)
	}
}

// take reads so many events, or all of a complete log if n is negative.
func take(t *testing.T, logs *streamlog.Logs, s streamlog.Stream, after, n int) []string {
	t.Helper()
	return <-takeLater(t, logs, s, after, n)
}

// takeLater is take by somebody else.
func takeLater(t *testing.T, logs *streamlog.Logs, s streamlog.Stream, after, n int) <-chan []string {
	t.Helper()
	got := make(chan []string, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	go func() {
		defer cancel()
		var frames []string
		for e, err := range logs.Follow(ctx, s, after) {
			if err != nil {
				frames = append(frames, err.Error())
				break
			}
			if frames = append(frames, string(e.Frame)); len(frames) == n {
				break
			}
		}
		got <- frames
	}()
	return got
}
