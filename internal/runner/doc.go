// Package runner runs tasks of many groups in one process: it bounds the calls
// in flight, tries again what may succeed, keeps results, and hands back tasks
// that would wait for long. Temporal knows nothing of it: activities begin runs,
// or join those that are under way here already, and wait for their reports.
//
// Why not internal/engine: that makes the many equal calls of one batch, which
// it fetches as it goes. Here each task has its own attempts, deadline and
// cancellation, and comes with its input. The two share the gate, the backoff
// and the client.
//
// It imports internal/{llm, limit, record, live, task, store}. Read runner.go,
// run.go, job.go, then settle.go.
package runner
