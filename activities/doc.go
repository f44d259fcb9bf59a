// Package activities does what workflows decide: everything that reads, writes
// or calls. One method of Activities is one unit that Temporal retries.
//
//	Plan         checks a batch's input, which of a retry it makes, and cuts it into chunks
//	Work         is one lane: leases chunks, makes their calls, keeps the results
//	Nudge        makes lanes look at what has changed
//	SaveCommits  writes a page of the ledger down
//	Finish       makes the output files and the final batch object
//	Tidy         deletes what the end of a batch leaves behind
//	Notify       begins to deliver an event
//	Deliver      sends an event to its receiver
//	SaveDelivery writes down how far a delivery has come
//
// Each may be repeated at any point and comes to the same end. The package may
// import engine, llm, limit, store, results, jsonl, ledger, webhook and egress,
// and never workflows. Read messages.go for names, inputs and results, then lane.go.
package activities
