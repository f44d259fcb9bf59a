// Package workflows decides: what a batch does next, when it stops, what
// becomes of what is left. Workflows are deterministic and do no I/O; whatever
// reads, writes or calls is an activity.
//
// A workflow is the noun that it carries out. Batch keeps the ledger of one
// batch and answers its lanes, which lease chunks from it by Update. The way a
// batch goes:
//
//	validating ──► in_progress ──► finalizing ──► completed
//	     │              │  └─ deadline ─► sweep ──► expired
//	     │              └──── cancel ───► sweep ──► cancelled
//	     └─ problems ─► failed
//
// A sweep gives every request that was not made its error line. Commands steer a
// batch until it ends: see steer.go.
//
// Webhook carries out the delivery of one event: it may take days, and outlives
// what the event is about.
//
// The package imports activities for names and types only. Read names.go for
// what goes over the wire, options.go for every timeout, then batch.go.
package workflows
