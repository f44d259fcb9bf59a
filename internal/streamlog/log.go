package streamlog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/headrace/headrace/internal/store"
)

// Log is the log of a stream in the hands of the attempt that writes it. It is
// safe for concurrent use.
type Log struct {
	logs   *Logs
	stream Stream
	limits limits
	writer string
	// resumed is set if there was an earlier attempt. It does not change.
	resumed bool

	ctx     context.Context //nolint:containedctx // writes outlive the call that brought their data
	cancel  context.CancelFunc
	work    chan struct{} // something is unwritten
	hurry   chan struct{} // it should not wait
	closing chan struct{}
	stopped chan struct{} // the writer in the background has ended

	mu       sync.Mutex
	changed  chan struct{} // closed when anything below has changed, and replaced
	events   [][]byte      // of which the first has the number base
	base     int
	stored   int   // events before this number are in the store
	reserved int   // numbers up to this may be given
	piece    int   // the next piece's
	kept     int   // bytes in memory and in the store
	unstored int   // bytes in memory alone
	sealed   bool  // nothing is taken any more: the last piece reserves no number
	err      error // nothing is written any more
	complete bool
}

// Open takes the log of a stream over for a new attempt, which goes on behind
// whatever earlier ones have written. It returns ErrEnded if the log is
// complete. The end of ctx does not end the writing of what is appended; Close
// does, and must be called.
func (l *Logs) Open(ctx context.Context, s Stream) (*Log, error) {
	log := &Log{
		logs: l, stream: s, limits: l.limits, writer: rand.Text(), changed: make(chan struct{}),
		work: make(chan struct{}, 1), hurry: make(chan struct{}, 1), closing: make(chan struct{}), stopped: make(chan struct{}),
	}
	for {
		err := log.claim(ctx)
		if err == nil {
			break
		}
		if !errors.Is(err, store.ErrExists) { // else somebody was faster
			return nil, fmt.Errorf("open stream log: %w", err)
		}
	}
	log.ctx, log.cancel = context.WithCancel(context.WithoutCancel(ctx))
	l.add(log)
	go log.run()
	return log, nil
}

// claim writes the piece that makes the log this attempt's.
func (l *Log) claim(ctx context.Context) error {
	n, err := l.logs.count(ctx, l.stream)
	if err != nil {
		return err
	}
	p := piece{head: head{Writer: l.writer}}
	if n > 0 {
		last, err := l.logs.read(ctx, l.stream, n-1)
		if err != nil {
			return err
		}
		if last.End {
			return ErrEnded
		}
		p.First, l.resumed = last.Reserved, true
	}
	p.Reserved = p.First + l.limits.reserved
	if err := l.logs.store.PutNew(ctx, l.stream.key(n), p.encode()); err != nil {
		return err
	}
	l.base, l.stored, l.reserved, l.piece = p.First, p.First, p.Reserved, n+1
	return nil
}

// Resumed reports whether there was an earlier attempt, which may have left
// events.
func (l *Log) Resumed() bool { return l.resumed }

// Append adds an event, which belongs to the log from here on, and returns its
// number. Readers in this process see it at once. Append waits while too much is
// unwritten, until ctx ends.
func (l *Log) Append(ctx context.Context, frame []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.err == nil && !l.sealed && (l.unstored >= l.limits.unwritten || l.next() >= l.reserved) {
		notify(l.hurry)
		if err := l.await(ctx); err != nil {
			return 0, err
		}
	}
	switch {
	case l.err != nil:
		return 0, l.err
	case l.sealed:
		return 0, ErrClosed
	}
	n := l.next()
	l.events = append(l.events, frame)
	l.unstored += len(frame)
	l.tell()
	notify(l.work)
	return n, nil
}

// next is the number of the next event. It takes mu to be held, as the
// following do.
func (l *Log) next() int { return l.base + len(l.events) }

// tell wakes whoever waits for a change.
func (l *Log) tell() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// await waits for a change, with mu released meanwhile.
func (l *Log) await(ctx context.Context) error {
	changed := l.changed
	l.mu.Unlock()
	defer l.mu.Lock()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// notify sends to a channel that holds one message, unless it does.
func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run writes what is appended, until the log is closed.
func (l *Log) run() {
	defer close(l.stopped)
	for {
		select {
		case <-l.closing:
			return
		case <-l.hurry:
		case <-l.work:
			if !l.pause() {
				return // what is left, Close writes
			}
		}
		if l.write(l.ctx, false, false) != nil {
			return
		}
	}
}

// pause waits until it is time to write, and reports whether that is so: not
// when the log is being closed.
func (l *Log) pause() bool {
	timer := time.NewTimer(l.limits.flush)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.hurry:
	case <-l.closing:
		return false
	}
	return true
}

// Close writes whatever is unwritten and lets go of the log: complete, or for
// another attempt to go on with. If ctx ends first, what is unwritten is lost.
// Close may be called more than once; the first counts.
func (l *Log) Close(ctx context.Context, complete bool) error {
	if !l.seal() {
		return nil
	}
	defer l.cancel()
	defer l.logs.remove(l)
	stop := context.AfterFunc(ctx, l.cancel)
	<-l.stopped
	stop()
	err := ctx.Err() // then a write may have been broken off, of which nobody knows what has become
	if err == nil {
		err = l.write(ctx, true, complete)
	}
	l.finish(ErrClosed, complete && err == nil)
	if err != nil {
		return fmt.Errorf("close stream log: %w", err)
	}
	return nil
}

// seal makes the log take no more events and its writer in the background end.
// It reports whether it is the first to do so.
func (l *Log) seal() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sealed {
		return false
	}
	l.sealed = true
	close(l.closing)
	l.tell()
	return true
}

// finish ends the log for this attempt, for the first reason that is given.
func (l *Log) finish(reason error, complete bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err, l.complete = reason, complete
	}
	l.tell()
}

// write writes a piece with all that is unwritten, and tries until it succeeds,
// ctx ends or another attempt turns out to have taken over. It is called from
// one goroutine at a time.
func (l *Log) write(ctx context.Context, last, complete bool) error {
	p, key, err := l.pending(last, complete)
	if p == nil || err != nil {
		return err
	}
	data := p.encode() // the same for all tries: one may have succeeded although it failed
	var patience store.Patience
	var lost bool
	err = patience.Persist(ctx, func() error {
		err := l.logs.store.PutNew(ctx, key, data)
		if errors.Is(err, store.ErrExists) {
			lost, err = l.lost(ctx)
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case lost:
		l.finish(ErrTakenOver, false)
		l.logs.remove(l)
		return ErrTakenOver
	default:
		l.settle(p)
		return nil
	}
}

// pending returns the next piece and its key; nil when there is nothing to
// write.
func (l *Log) pending(last, complete bool) (*piece, string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil || !last && l.next() == l.stored {
		return nil, "", l.err
	}
	p := &piece{head: head{Writer: l.writer, First: l.stored, End: complete}, frames: l.events[l.stored-l.base:]}
	p.Reserved = p.next()
	if !last {
		p.Reserved += l.limits.reserved
	}
	return p, l.stream.key(l.piece), nil
}

// lost reports whether the next piece, which exists, is another attempt's.
func (l *Log) lost(ctx context.Context) (bool, error) {
	p, err := l.logs.read(ctx, l.stream, l.piece)
	return err == nil && p.Writer != l.writer, err
}

// settle books a piece that has been stored, and forgets the oldest events
// beyond what is kept for readers.
func (l *Log) settle(p *piece) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range p.frames {
		l.kept += len(f)
		l.unstored -= len(f)
	}
	l.stored, l.reserved = p.next(), p.Reserved
	l.piece++
	drop := 0
	for l.kept > l.limits.memory && l.base+drop < l.stored {
		l.kept -= len(l.events[drop])
		drop++
	}
	if drop > 0 {
		l.events, l.base = slices.Clone(l.events[drop:]), l.base+drop
	}
	l.tell()
}
