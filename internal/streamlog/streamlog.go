package streamlog

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headrace/headrace/internal/store"
)

// Stream names the stream of one task.
type Stream struct {
	Project, Group string
	N              int // the task's number in its group
}

// key is that of a piece.
func (s Stream) key(piece int) string { return store.TaskStream(s.Project, s.Group, s.N, piece) }

// Event is an event of a log.
type Event struct {
	// N numbers the events of a log, from 0, in order but with gaps.
	N int
	// Frame is as it was appended. It must not be changed.
	Frame []byte
}

// Restart is the frame that stands between two attempts, for whoever writes
// streams whose attempts begin anew: what follows it is an answer from its
// beginning. It is a comment in an event stream.
const Restart = ": headrace restart\n\n"

// Errors of logs.
var (
	// ErrEnded is returned for a log that is complete.
	ErrEnded = errors.New("stream log has ended")
	// ErrTakenOver is returned to an attempt after another has begun.
	ErrTakenOver = errors.New("stream log was taken over by another attempt")
	// ErrClosed is returned for a log that its attempt has closed.
	ErrClosed = errors.New("stream log is closed")
)

// limits are the times and sizes of logs.
type limits struct {
	// flush is the longest that an event waits for its piece to be written. With
	// the write itself it stays below 250 ms.
	flush time.Duration
	// poll is the time between two looks of a reader at the log of another
	// process.
	poll time.Duration
	// unwritten bounds the bytes that wait to be written; beyond it, Append
	// waits. A piece is not much larger.
	unwritten int
	// memory bounds the bytes that are stored and stay in memory for readers
	// that are close behind.
	memory int
	// reserved is how many numbers may be given between two pieces.
	reserved int
}

var defaults = limits{
	flush: 175 * time.Millisecond, poll: 250 * time.Millisecond, unwritten: 4 << 20, memory: 4 << 20, reserved: 1000,
}

// Logs are the logs of one process. It is safe for concurrent use.
type Logs struct {
	store     *store.Store
	limits    limits
	followers atomic.Int64

	mu     sync.Mutex
	live   map[Stream]*Log
	opened chan struct{} // closed when a log has been opened, and replaced
}

// New returns the logs that a process keeps in s.
func New(s *store.Store) *Logs {
	return &Logs{store: s, limits: defaults, live: map[Stream]*Log{}, opened: make(chan struct{})}
}

// Followers is the number of readers that follow a stream in this process.
func (l *Logs) Followers() int { return int(l.followers.Load()) }

// find returns the log that an attempt in this process writes, or nil and a
// channel that is closed when it is time to look again.
func (l *Logs) find(s Stream) (*Log, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.live[s], l.opened
}

// add makes a log the one that readers find. An earlier attempt, which may have
// been forgotten rather than stopped, holds none of them up.
func (l *Logs) add(log *Log) {
	l.mu.Lock()
	earlier := l.live[log.stream]
	l.live[log.stream] = log
	close(l.opened)
	l.opened = make(chan struct{})
	l.mu.Unlock()
	if earlier != nil {
		earlier.finish(ErrTakenOver, false)
	}
}

// remove forgets a log, unless a later attempt has replaced it.
func (l *Logs) remove(log *Log) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.live[log.stream] == log {
		delete(l.live, log.stream)
	}
}
