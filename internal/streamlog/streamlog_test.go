package streamlog_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/streamlog"
)

func TestEventsAreNumberedFromZero(t *testing.T) {
	t.Parallel()
	log := begin(t, streamlog.New(openStore(t)), newStream())
	for want := range 2500 { // more than one piece reserves
		n, err := log.Append(t.Context(), []byte("x"))
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
}

func TestAReaderGetsWhatComesAfterWhatItHas(t *testing.T) {
	t.Parallel()
	logs, s := streamlog.New(openStore(t)), newStream()
	log := begin(t, logs, s)
	add(t, log, "a", "b", "c")
	require.NoError(t, log.Close(t.Context(), true))
	for after, want := range map[int][]string{
		math.MinInt: {"a", "b", "c"}, -1: {"a", "b", "c"}, 0: {"b", "c"}, 1: {"c"}, 2: nil, 3: nil, 1000: nil,
	} {
		require.Equal(t, want, take(t, logs, s, after, -1), "after %d", after)
	}
}

func TestALiveReaderSeesAnEventBeforeItIsStored(t *testing.T) {
	t.Parallel()
	kept := openStore(t)
	logs, s := streamlog.New(kept), newStream()
	logs.Limit(never, never, 1<<20, 1<<20, 1000)
	got := takeLater(t, logs, s, -1, 2) // perhaps before there is a log
	log := begin(t, logs, s)
	add(t, log, "a", "b")
	require.Equal(t, []string{"a", "b"}, <-got)
	log.Crash()
	log = begin(t, logs, s)
	add(t, log, "c")
	require.Equal(t, []string{"c"}, take(t, logs, s, -1, 1), "the others are lost")
}

func TestAnEventIsStoredSoonWithoutBeingAskedFor(t *testing.T) {
	t.Parallel()
	kept, s := openStore(t), newStream()
	log := begin(t, streamlog.New(kept), s)
	for i := range 5 {
		add(t, log, fmt.Sprint(i))
		require.Len(t, take(t, streamlog.New(kept), s, i-1, 1), 1, "another process polls for it")
	}
}

func TestAReaderElsewhereFollowsToTheEnd(t *testing.T) {
	t.Parallel()
	kept, s := openStore(t), newStream()
	got := takeLater(t, streamlog.New(kept), s, -1, -1)
	log := begin(t, streamlog.New(kept), s)
	add(t, log, "a", "b")
	require.NoError(t, log.Flush(t.Context()))
	add(t, log, "c")
	require.NoError(t, log.Close(t.Context(), true))
	require.Equal(t, []string{"a", "b", "c"}, <-got)
}

func TestAnAttemptGoesOnBehindTheOneBefore(t *testing.T) {
	t.Parallel()
	kept, s := openStore(t), newStream()
	first := begin(t, streamlog.New(kept), s)
	add(t, first, "a", "b")
	require.NoError(t, first.Close(t.Context(), false))

	logs := streamlog.New(kept)
	second := begin(t, logs, s)
	n, err := second.Append(t.Context(), []byte("c"))
	require.NoError(t, err)
	require.Equal(t, 2, n, "without a gap, since nothing can have been lost")
	require.NoError(t, second.Close(t.Context(), true))
	require.Equal(t, []string{"a", "b", "c"}, take(t, logs, s, -1, -1))
}

func TestNoNumberIsGivenTwiceThoughEventsAreLost(t *testing.T) {
	t.Parallel()
	kept, s := openStore(t), newStream()
	logs := streamlog.New(kept)
	logs.Limit(never, never, 1<<20, 1<<20, 10)
	first := begin(t, logs, s)
	add(t, first, "a")
	require.NoError(t, first.Flush(t.Context()))
	add(t, first, "b", "c")
	require.Equal(t, []string{"b", "c"}, take(t, logs, s, 0, 2), "seen by somebody")
	first.Crash()

	second := begin(t, logs, s)
	n, err := second.Append(t.Context(), []byte("d"))
	require.NoError(t, err)
	require.Equal(t, 11, n)
	require.NoError(t, second.Close(t.Context(), true))
	require.Equal(t, []string{"d"}, take(t, logs, s, 2, -1), "who has seen c misses nothing")
	require.Equal(t, []string{"a", "d"}, take(t, logs, s, -1, -1))
}

func TestAnAttemptThatWasTakenForDeadCannotWrite(t *testing.T) {
	t.Parallel()
	kept, s := openStore(t), newStream()
	zombie := begin(t, streamlog.New(kept), s)
	add(t, zombie, "a")
	require.NoError(t, zombie.Flush(t.Context()))
	heir := begin(t, streamlog.New(kept), s)
	add(t, zombie, "of no use")
	add(t, heir, "b")
	require.ErrorIs(t, zombie.Flush(t.Context()), streamlog.ErrTakenOver)
	_, err := zombie.Append(t.Context(), []byte("of no use"))
	require.ErrorIs(t, err, streamlog.ErrTakenOver)
	require.ErrorIs(t, zombie.Close(t.Context(), true), streamlog.ErrTakenOver)
	require.NoError(t, heir.Close(t.Context(), true))
	require.Equal(t, []string{"a", "b"}, take(t, streamlog.New(kept), s, -1, -1))
}

func TestReadersLeaveAnAttemptThatIsReplacedInTheirProcess(t *testing.T) {
	t.Parallel()
	logs, s := streamlog.New(openStore(t)), newStream()
	zombie := begin(t, logs, s)
	got := takeLater(t, logs, s, -1, 1)
	heir := begin(t, logs, s)
	_, err := zombie.Append(t.Context(), nil)
	require.ErrorIs(t, err, streamlog.ErrTakenOver)
	add(t, heir, "b")
	require.Equal(t, []string{"b"}, <-got)
}

func TestALogThatIsCompleteTakesNothingMore(t *testing.T) {
	t.Parallel()
	logs, s := streamlog.New(openStore(t)), newStream()
	log := begin(t, logs, s)
	require.NoError(t, log.Close(t.Context(), true))
	require.NoError(t, log.Close(t.Context(), false), "the first counts")
	_, err := log.Append(t.Context(), []byte("a"))
	require.ErrorIs(t, err, streamlog.ErrClosed)
	_, err = logs.Open(t.Context(), s)
	require.ErrorIs(t, err, streamlog.ErrEnded)
	require.Empty(t, take(t, logs, s, -1, -1))
}

func TestTheMemoryOfALogIsBounded(t *testing.T) {
	t.Parallel()
	const kb = 1 << 10
	logs, s := streamlog.New(openStore(t)), newStream()
	logs.Limit(time.Millisecond, time.Millisecond, 16*kb, 16*kb, 1000)
	log := begin(t, logs, s)
	frame := strings.Repeat("x", kb)
	for range 500 {
		add(t, log, frame)
		require.LessOrEqual(t, log.InMemory(), 32*kb)
	}
	require.Len(t, take(t, logs, s, -1, 500), 500, "from the store what is forgotten")
}

func TestASlowReaderHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	logs, s := streamlog.New(openStore(t)), newStream()
	logs.Limit(time.Millisecond, time.Millisecond, 1000, 1000, 1000)
	log := begin(t, logs, s)
	add(t, log, "first")
	more := slices.Repeat([]string{"more than is kept in memory"}, 1000)
	n := 0
	for e, err := range logs.Follow(t.Context(), s, -1) {
		require.NoError(t, err)
		require.Equal(t, n, e.N)
		if n++; n == 1 { // while this reader does something else
			add(t, log, more...)
			require.NoError(t, log.Close(t.Context(), true))
		}
	}
	require.Equal(t, 1001, n)
}

func TestAReaderEndsWithItsContext(t *testing.T) {
	t.Parallel()
	logs, s := streamlog.New(openStore(t)), newStream()
	read := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		for _, err := range logs.Follow(ctx, s, -1) {
			return err
		}
		return errors.New("no event and no error")
	}
	require.ErrorIs(t, read(), context.DeadlineExceeded, "of a log that nobody has begun")
	begin(t, logs, s)
	require.ErrorIs(t, read(), context.DeadlineExceeded, "of a log without events")
}

func TestAppendWaitsNoLongerThanItsContext(t *testing.T) {
	t.Parallel()
	kept, err := store.Open(t.Context(), t.TempDir())
	require.NoError(t, err)
	logs := streamlog.New(kept)
	logs.Limit(time.Millisecond, time.Millisecond, 10, 10, 1000)
	log := begin(t, logs, newStream())
	require.NoError(t, kept.Close(), "now nothing can be written")
	add(t, log, "0123456789")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = log.Append(ctx, []byte("x"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, log.Close(ctx, true), context.DeadlineExceeded)
}

func TestAPieceIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	frames := [][]byte{[]byte("data: {}\n\n"), {}, []byte("\x00\xff\r\n"), []byte("3\nabc")}
	got, err := streamlog.Decode(streamlog.Encode(5, frames))
	require.NoError(t, err)
	require.Equal(t, frames, got)
}

// FuzzDecode feeds what no writer has written.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("{\"writer\":\"w\",\"first\":0}\n3\nabc"))
	f.Add([]byte("{}\n-1\n"))
	f.Add([]byte("{}\n9999999999999999999\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		frames, err := streamlog.Decode(b)
		n := 0
		for _, frame := range frames {
			n += len(frame)
		}
		require.LessOrEqual(t, n, len(b))
		require.True(t, err == nil || frames == nil)
	})
}
