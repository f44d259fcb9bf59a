// Package sse reads and writes event streams, the text/event-stream of the
// HTML standard (https://html.spec.whatwg.org/multipage/server-sent-events.html).
//
// A Reader cuts a stream into frames and keeps the bytes of each as they came,
// so that a stream can be passed on untouched while its events are understood.
// A Writer answers an HTTP request with events of our own or with such frames.
//
// It imports the standard library only. Read frame.go, reader.go, writer.go.
package sse
