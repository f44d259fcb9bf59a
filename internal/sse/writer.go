package sse

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// ContentType is the media type of event streams.
const ContentType = "text/event-stream"

// Event is an event to be written.
type Event struct {
	// Name is the type of the event; "" leaves it out.
	Name string
	// ID is what a client that comes back sends as Last-Event-ID; "" leaves it
	// out.
	ID string
	// Data may have many lines.
	Data []byte
}

// Writer answers a request with an event stream. It is not safe for concurrent
// use.
type Writer struct {
	w       http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
	buf     []byte
}

// NewWriter returns a writer that gives the client so much time to take each
// event, and drops one that does not. Nothing is sent yet: headers may still be
// set, and a status other than 200 be written.
func NewWriter(w http.ResponseWriter, timeout time.Duration) *Writer {
	return &Writer{w: w, control: http.NewResponseController(w), timeout: timeout}
}

// Open sends the headers, so that the client knows that the stream has begun
// although there may be no event for a while.
func (w *Writer) Open() error {
	h := w.w.Header()
	h.Set("Content-Type", ContentType)
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no") // proxies of nginx's kind hold streams back otherwise
	if err := w.extend(); err != nil {
		return err
	}
	w.w.WriteHeader(http.StatusOK)
	return w.flush()
}

// Event sends an event. A name or an id of more than one line is an error.
func (w *Writer) Event(e Event) error {
	w.buf = w.buf[:0]
	for _, field := range [...]struct{ name, value string }{{"event", e.Name}, {"id", e.ID}} {
		if field.value == "" {
			continue
		}
		if strings.ContainsAny(field.value, "\r\n\x00") {
			return fmt.Errorf("event stream: %s %q is not one line", field.name, field.value)
		}
		w.field(field.name, []byte(field.value))
	}
	for rest, line := e.Data, []byte(nil); ; {
		line, rest = cutLine(rest)
		w.field("data", line)
		if rest == nil {
			break
		}
	}
	w.buf = append(w.buf, '\n')
	return w.Raw(w.buf)
}

func (w *Writer) field(name string, value []byte) {
	w.buf = append(append(append(append(w.buf, name...), ": "...), value...), '\n')
}

// heartbeat is a comment, which clients pass over.
var heartbeat = []byte(":\n\n")

// Heartbeat sends a comment, which keeps proxies from closing the connection
// and tells the server when the client has left.
func (w *Writer) Heartbeat() error { return w.Raw(heartbeat) }

// Raw sends a frame as it is.
func (w *Writer) Raw(frame []byte) error {
	if err := w.extend(); err != nil {
		return err
	}
	if _, err := w.w.Write(frame); err != nil {
		return fmt.Errorf("event stream: %w", err)
	}
	return w.flush()
}

// extend gives the client time for the next write. Without a connection of its
// own a response, such as that of a test, has no deadline.
func (w *Writer) extend() error {
	err := w.control.SetWriteDeadline(time.Now().Add(w.timeout))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("event stream: %w", err)
	}
	return nil
}

func (w *Writer) flush() error {
	if err := w.control.Flush(); err != nil {
		return fmt.Errorf("event stream: %w", err)
	}
	return nil
}
