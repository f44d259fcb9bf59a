package store

import (
	"context"
	"errors"
	"path"
	"strings"
	"time"
)

// Operation is what was done to a store.
type Operation string

// Operations. A write is counted when it becomes visible, or fails; how long its
// data took to come is not the store's time. A read is the time until there is
// something to read.
const (
	Read   Operation = "read"
	Write  Operation = "write"
	Lookup Operation = "lookup"
	Delete Operation = "delete"
	List   Operation = "list"
)

// Observer is told of each operation, from any goroutine, and must not wait. A key
// that holds nothing, or should have held nothing, is no error, nor is an operation
// that its caller gave up.
type Observer func(o Operation, key string, took time.Duration, err error)

// Observe has operations told to o. It is for whoever opened the store, before the
// first operation.
func (s *Store) Observe(o Observer) { s.observer = o }

// observe tells of an operation that has begun now, when the function that it
// returns is called with its outcome.
func (s *Store) observe(op Operation, key string) func(error) {
	if s.observer == nil {
		return func(error) {}
	}
	begun := time.Now()
	return func(err error) { s.observer.end(op, key, begun, err) }
}

// end tells of an operation.
func (o Observer) end(op Operation, key string, begun time.Time, err error) {
	if errors.Is(err, ErrNotFound) && op != Write || errors.Is(err, ErrExists) || errors.Is(err, context.Canceled) {
		err = nil
	}
	o(op, key, time.Since(begun), err)
}

// Object is what an object is for.
type Object string

// Kinds of objects.
const (
	Segment Object = "segment" // a piece of an unfinished chunk's results
	Chunk   Object = "chunk"   // the results of a chunk
	Results Object = "results" // of tasks
	Stream  Object = "stream"  // a piece of one
	File    Object = "file"    // uploaded
	Other   Object = "other"
)

// ObjectOf is what the object under a key is for.
func ObjectOf(key string) Object {
	switch path.Ext(key) {
	case ".seg":
		return Segment
	case ".out", ".err":
		return Chunk
	case ".results":
		return Results
	case ".log":
		return Stream
	}
	if strings.HasPrefix(key, filesPrefix) && strings.Contains(key, "/data/") {
		return File
	}
	return Other
}
