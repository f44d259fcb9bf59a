package streamlog

import (
	"context"
	"time"

	"github.com/headrace/headrace/internal/store"
)

// Limit changes the times and sizes of logs. It is called before any is opened.
func (l *Logs) Limit(flush, poll time.Duration, unwritten, memory, reserved int) {
	l.limits = limits{flush: flush, poll: poll, unwritten: unwritten, memory: memory, reserved: reserved}
}

// Flush waits until all that has been appended is stored.
func (l *Log) Flush(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for target := l.next(); l.stored < target; {
		if l.err != nil {
			return l.err
		}
		notify(l.hurry)
		if err := l.await(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Crash ends an attempt as the end of its process would.
func (l *Log) Crash() {
	if !l.seal() {
		return
	}
	l.cancel()
	<-l.stopped
	l.logs.remove(l)
	l.finish(ErrClosed, false)
}

// InMemory returns the bytes that a log holds.
func (l *Log) InMemory() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, f := range l.events {
		n += len(f)
	}
	return n
}

// Decode and Encode let tests look at pieces.
func Decode(b []byte) ([][]byte, error) {
	p, err := decode(b)
	if err != nil {
		return nil, err
	}
	return p.frames, nil
}

// Encode is the opposite of Decode.
func Encode(first int, frames [][]byte) []byte {
	p := piece{head: head{Writer: "w", First: first}, frames: frames}
	return p.encode()
}

// Store returns where the logs are kept.
func (l *Logs) Store() *store.Store { return l.store }
