// Package codec seals what headrace gives to Temporal, and opens it again: the
// inputs and results of workflows and activities, signals, updates, queries,
// memos, heartbeats, markers, and the texts of failures. Temporal itself has to
// read search attributes, ids, names of types and of task queues; none of these
// has anything of a request in it.
//
// It stands between Temporal's SDK and package seal, and knows nothing else of
// headrace. Read codec.go, then converter.go.
package codec
