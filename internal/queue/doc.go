// Package queue keeps the books of one queue: its limits, which workers hold how
// much of them, and until when. It is the state of the workflow Queue and the
// language in which the gates of workers and that workflow speak.
//
//	worker: gate ── Request ──► Allocator ── Grant ──► worker: gate
//
// A grant is a lease: permits (calls in flight) until it ends, and a budget of
// requests and of tokens. Whatever the order of leases, renewals, crashes and lost
// answers, the permits that workers may believe to hold never exceed the
// concurrency, and all budgets together never what the rates have brought.
//
// It is pure: no clock, no randomness, no I/O and no iteration over maps, since a
// workflow replays it. Times are milliseconds, given by the caller.
//
// Read settings.go and message.go for what is said, then allocator.go, then
// account.go.
package queue
