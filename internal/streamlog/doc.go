// Package streamlog keeps the stream of a task's answer, so that whoever asks
// for it, early or late, here or elsewhere, gets every event once and in order.
//
//	provider ──► Log.Append ──► memory ──► live readers in this process
//	                              │ every 250 ms
//	                              ▼
//	                            store  ──► readers anywhere, and the next attempt
//
// A Log is written by one attempt of a task at a time. It hands events on at
// once and stores them in pieces with consecutive numbers, each of which can be
// written only once. An attempt begins by writing a piece, and so takes the log
// over: whoever held it before, and lives on, fails at its next piece.
//
// Events are numbered in order, and no number is given twice, not even where a
// crash has lost what live readers have seen: every piece reserves numbers for
// the events that will be handed out before the next one is stored, and the
// attempt after a crash begins behind them. So numbers may have gaps.
//
// The package imports internal/store only. Read streamlog.go, log.go, piece.go,
// follow.go.
package streamlog
