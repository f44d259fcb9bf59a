// Package ledger keeps the books of one batch: which chunks are still to do,
// which lane holds which, and which are done. It is the state of the batch
// workflow and the language in which lanes and the workflow speak.
//
// It is pure: no clock, no randomness, no I/O and no iteration over maps, since
// a workflow replays it. Whatever the order of leases, crashes and messages of
// attempts that are long over, each chunk is committed exactly once.
//
// Read message.go for what is said, then ledger.go, then hands.go.
package ledger
