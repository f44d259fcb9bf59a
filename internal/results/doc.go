// Package results turns the outcomes of a batch's requests into lines and keeps
// them in the store, so that no finished call is ever made again.
//
// While a chunk is open, its lines are written a few times a second as
// segments, in the order in which they came. When its last line is there, the
// chunk is written as one object for answers and one for errors, sorted by
// input line, and the segments go. A chunk that is finished before its first
// segment is due is written once. Whoever takes a chunk over reads what is
// there and adds only what is missing.
//
// A line's id names the input line it answers, so every object of a chunk,
// whoever wrote it, can be read back: see line.go, then recorder.go, load.go
// and read.go.
package results
