package streamlog

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/headrace/headrace/internal/store"
)

// Follow yields the events of a stream whose number is greater than after (-1
// for all), first those that are there, then each as it comes, until the log is
// complete. An error ends it: that of ctx, or of the store.
//
// A reader that is slow holds nobody up, and a bounded part of the stream in
// memory. In the process where the log is written, events come at once; what a
// crash of that process loses, its readers may have seen. Everywhere else they
// come as they are stored.
func (l *Logs) Follow(ctx context.Context, s Stream, after int) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		l.followers.Add(1)
		defer l.followers.Add(-1)
		f := follower{logs: l, stream: s, next: max(after, -1) + 1, yield: yield}
		if err := f.follow(ctx); err != nil && !errors.Is(err, errEnough) {
			yield(Event{}, err)
		}
	}
}

// errEnough says that the reader has stopped.
var errEnough = errors.New("the reader has stopped")

// follower is a reader of a stream. All events before the number next have been
// yielded.
type follower struct {
	logs   *Logs
	stream Stream
	next   int
	yield  func(Event, error) bool
}

// follow goes from the store to the live log, if there is one, and back, when an
// attempt has ended or the live log has forgotten what the reader wants.
func (f *follower) follow(ctx context.Context) error {
	for {
		complete, err := f.live(ctx)
		if complete || err != nil {
			return err
		}
		if complete, err = f.stored(ctx); complete || err != nil {
			return err
		}
	}
}

// batch bounds how many events a reader takes from a live log at once.
const batch = 64

// live yields events of the live log until it is complete, which it reports, or
// must be read from the store.
func (f *follower) live(ctx context.Context) (complete bool, err error) {
	log, _ := f.logs.find(f.stream)
	if log == nil {
		return false, nil
	}
	for {
		frames, ok, err := log.from(ctx, f.next)
		switch {
		case err != nil:
			return false, err
		case !ok:
			return log.isComplete(f.next), nil
		}
		if err := f.give(f.next, frames); err != nil {
			return false, err
		}
	}
}

// give yields frames of which the first has the given number.
func (f *follower) give(first int, frames [][]byte) error {
	for i, frame := range frames {
		if first+i < f.next {
			continue
		}
		f.next = first + i + 1
		if !f.yield(Event{N: first + i, Frame: frame}, nil) {
			return errEnough
		}
	}
	f.next = max(f.next, first+len(frames))
	return nil
}

// from waits for events from the given number on and returns some of them. It
// is not ok when none will come of this log any more, or when they are in memory
// no more.
func (l *Log) from(ctx context.Context, number int) (frames [][]byte, ok bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for number >= l.next() && l.err == nil {
		if err := l.await(ctx); err != nil {
			return nil, false, err
		}
	}
	if number < l.base || number >= l.next() {
		return nil, false, nil
	}
	frames = l.events[number-l.base:]
	return append([][]byte(nil), frames[:min(len(frames), batch)]...), true, ctx.Err()
}

// isComplete reports whether the log is complete and has nothing from the given
// number on.
func (l *Log) isComplete(number int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.complete && number >= l.next()
}

// stored yields events from the store until the log is complete, which it
// reports, or until it can be read live.
func (f *follower) stored(ctx context.Context) (complete bool, err error) {
	i, err := f.logs.locate(ctx, f.stream, f.next)
	if err != nil {
		return false, err
	}
	for ; ; i++ {
		p, err := f.await(ctx, i)
		if p == nil || err != nil {
			return false, err
		}
		if err := f.give(p.First, p.frames); err != nil || p.End {
			return p.End, err
		}
	}
}

// await reads a piece once it is there. It returns nil when the log is live in
// this process and the store has all that is not in its memory.
func (f *follower) await(ctx context.Context, i int) (*piece, error) {
	for {
		p, err := f.logs.read(ctx, f.stream, i)
		if !errors.Is(err, store.ErrNotFound) {
			return p, err
		}
		live, opened := f.logs.find(f.stream)
		if live != nil {
			return nil, nil //nolint:nilnil // no piece is no error
		}
		timer := time.NewTimer(f.logs.limits.poll)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-opened:
		case <-timer.C:
		}
		timer.Stop()
	}
}
