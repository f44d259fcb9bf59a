package streamlog_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/streamlog"
)

// world is a stream, a few processes, and what has happened so far.
type world struct {
	ctx       context.Context //nolint:containedctx // of one check
	stream    streamlog.Stream
	processes []*streamlog.Logs
	attempts  []*streamlog.Log // the last one holds the log, the others may believe it
	appended  map[int]string
	durable   map[int]bool
	latest    map[*streamlog.Log][]int // what each has appended and not flushed

	readers sync.WaitGroup
	mu      sync.Mutex
	read    []reading
}

// reading is what a reader has got.
type reading struct {
	after  int
	events []streamlog.Event
	err    error
}

func (w *world) process(t *rapid.T) *streamlog.Logs {
	return w.processes[rapid.IntRange(0, len(w.processes)-1).Draw(t, "process")]
}

func (w *world) attempt(t *rapid.T) *streamlog.Log {
	if len(w.attempts) == 0 {
		t.Skip("nobody has begun")
	}
	return w.attempts[rapid.IntRange(0, len(w.attempts)-1).Draw(t, "attempt")]
}

func (w *world) open(t *rapid.T) {
	log, err := w.process(t).Open(w.ctx, w.stream)
	require.NoError(t, err)
	w.attempts = append(w.attempts, log)
}

func (w *world) append(t *rapid.T) {
	log := w.attempt(t)
	for range rapid.IntRange(1, 8).Draw(t, "events") {
		frame := fmt.Sprint("event ", len(w.appended))
		n, err := log.Append(w.ctx, []byte(frame))
		if err != nil {
			w.requireLost(t, log, err)
			return
		}
		require.NotContains(t, w.appended, n, "a number is given once")
		w.appended[n] = frame
		w.latest[log] = append(w.latest[log], n)
	}
}

// requireLost checks that an attempt fails only if it has reason to.
func (w *world) requireLost(t *rapid.T, log *streamlog.Log, err error) {
	if errors.Is(err, streamlog.ErrTakenOver) {
		require.NotEqual(t, log, w.attempts[len(w.attempts)-1], "nobody has taken over")
		return
	}
	require.ErrorIs(t, err, streamlog.ErrClosed)
}

func (w *world) flush(t *rapid.T) {
	log := w.attempt(t)
	if err := log.Flush(w.ctx); err != nil {
		w.requireLost(t, log, err)
		return
	}
	w.settle(log)
}

func (w *world) settle(log *streamlog.Log) {
	for _, n := range w.latest[log] {
		w.durable[n] = true
	}
	delete(w.latest, log)
}

func (w *world) leave(t *rapid.T) {
	log := w.attempt(t)
	if err := log.Close(w.ctx, false); err != nil {
		w.requireLost(t, log, err)
	}
}

func (w *world) crash(t *rapid.T) { w.attempt(t).Crash() }

// follow starts a reader, which reads to the end.
func (w *world) follow(t *rapid.T) {
	after := rapid.IntRange(-1, 60).Draw(t, "after")
	process := w.process(t)
	w.readers.Go(func() {
		r := reading{after: after}
		for e, err := range process.Follow(w.ctx, w.stream, after) {
			if r.err = err; err == nil {
				r.events = append(r.events, e)
			}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.read = append(w.read, r)
	})
}

// end completes the log and checks what everybody has read.
func (w *world) end(t *rapid.T) {
	w.open(t)
	w.append(t)
	log := w.attempts[len(w.attempts)-1]
	for _, earlier := range w.attempts[:len(w.attempts)-1] {
		earlier.Crash()
	}
	require.NoError(t, log.Close(w.ctx, true))
	w.settle(log)
	w.readers.Wait()

	final := map[int]bool{}
	last := -1
	for e, err := range streamlog.New(w.processes[0].Store()).Follow(w.ctx, w.stream, -1) {
		require.NoError(t, err)
		require.Greater(t, e.N, last)
		require.Equal(t, w.appended[e.N], string(e.Frame))
		final[e.N], last = true, e.N
	}
	for n := range w.durable {
		require.Contains(t, final, n, "what is stored stays")
	}
	for _, r := range w.read {
		w.check(t, r, final)
	}
}

// check holds a reader's events to those of the complete log. It may have seen
// others, that a crash has lost.
func (w *world) check(t *rapid.T, r reading, final map[int]bool) {
	require.NoError(t, r.err)
	last, seen := r.after, map[int]bool{}
	for _, e := range r.events {
		require.Greater(t, e.N, last, "in order, and each once")
		require.Equal(t, w.appended[e.N], string(e.Frame))
		last, seen[e.N] = e.N, true
	}
	for n := range final {
		if n > r.after {
			require.Contains(t, seen, n, "no event is left out")
		}
	}
}

func TestEveryReaderGetsEveryEventOnceWhateverHappens(t *testing.T) {
	t.Parallel()
	kept := openStore(t)
	rapid.Check(t, func(t *rapid.T) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		w := &world{
			ctx: ctx, stream: newStream(), appended: map[int]string{}, durable: map[int]bool{}, latest: map[*streamlog.Log][]int{},
		}
		for range 2 {
			logs := streamlog.New(kept)
			logs.Limit(never, time.Millisecond, rapid.IntRange(10, 200).Draw(t, "unwritten"), rapid.IntRange(0, 100).Draw(t, "memory"),
				rapid.IntRange(1, 20).Draw(t, "reserved"))
			w.processes = append(w.processes, logs)
		}
		defer func() {
			for _, log := range w.attempts {
				log.Crash()
			}
			cancel()
			w.readers.Wait()
		}()
		t.Repeat(map[string]func(*rapid.T){
			"open": w.open, "append": w.append, "append again": w.append, "flush": w.flush, "leave": w.leave, "crash": w.crash, "follow": w.follow,
		})
		w.end(t)
	})
}
