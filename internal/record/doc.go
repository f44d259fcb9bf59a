// Package record keeps what became of tasks in the store. The results of a
// part of a group are written together, as objects with consecutive numbers of
// which no one is written twice: so whoever reads them in order and takes the
// first result of each task sees what everybody else sees, even when two
// workers have made the same call.
//
// It imports internal/store and internal/task. Read format.go, then journal.go,
// then read.go.
package record
