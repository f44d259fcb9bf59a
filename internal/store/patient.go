package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// A store at the other end of a network can fall silent. Whoever waits for it
// should try again rather than wait for ever, so each operation is bounded: as a
// whole if it is small, and otherwise from one step to the next.
const (
	operationTimeout = 30 * time.Second
	// slowest is the rate in bytes per second below which a write is given up.
	slowest = 128 << 10
	// commitTimeout bounds the end of a write, when a store may put together
	// an object of many gigabytes.
	commitTimeout = 5 * time.Minute
)

// errSlow is returned for an operation that took too long. It is not that of a
// context, since nobody has stopped anything.
var errSlow = errors.New("the store did not answer in time")

// bounded bounds an operation with so many bytes. What it returns must be given
// the operation's error.
func (s *Store) bounded(ctx context.Context, size int) (context.Context, func(error) error) {
	if !s.driver.remote() {
		return ctx, func(err error) error { return err }
	}
	limit := operationTimeout + time.Duration(size)*time.Second/slowest
	bounded, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w, which is %s", errSlow, limit.Round(time.Second)))
	return bounded, func(err error) error {
		defer cancel()
		return causeOf(bounded, err)
	}
}

// causeOf tells an operation that took too long from one that was stopped.
func causeOf(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); errors.Is(cause, errSlow) {
		return fmt.Errorf("%w: %s", cause, masked(err).Error())
	}
	return err
}

// watchdog ends a context when a step takes too long. One with no timer does
// nothing.
type watchdog struct {
	ctx    context.Context //nolint:containedctx // it is what the watchdog guards
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

// watch returns a watchdog that is idle, and the context that it ends.
func (s *Store) watch(ctx context.Context) (context.Context, *watchdog) {
	w := &watchdog{}
	ctx, w.cancel = context.WithCancelCause(ctx)
	w.ctx = ctx
	if s.driver.remote() {
		w.timer = time.AfterFunc(operationTimeout, func() { w.cancel(errSlow) })
		w.timer.Stop()
	}
	return ctx, w
}

// step bounds a step, and returns what must be given its error.
func (w *watchdog) step(limit time.Duration) func(error) error {
	if w.timer == nil {
		return func(err error) error { return err }
	}
	w.timer.Reset(limit)
	return func(err error) error {
		w.timer.Stop()
		return causeOf(w.ctx, err)
	}
}

func (w *watchdog) stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
	w.cancel(context.Canceled)
}

// watchedReader reads from a store under the eye of a watchdog.
type watchedReader struct {
	io.ReadCloser

	dog *watchdog
}

// Read implements io.Reader.
func (r *watchedReader) Read(p []byte) (int, error) {
	done := r.dog.step(operationTimeout)
	n, err := r.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, done(err)
	}
	_ = done(nil)
	return n, err
}

// Close implements io.Closer.
func (r *watchedReader) Close() error {
	defer r.dog.stop()
	return r.ReadCloser.Close()
}
