// Package trace follows requests through a process and from one process to the next,
// with OpenTelemetry: from the HTTP request over the workflow and its activities to
// the call to the provider.
//
//	POST /v1/batches ─ StartWorkflow:Batch ─ RunWorkflow:Batch ─ RunActivity:Work ─ chat gpt-4o-mini
//	POST /v1/tasks ──┬ StartWorkflow:Task ── …
//	                 └ chat gpt-4o-mini                (the task carries its parent along)
//
// A trace begins with a request to the API and nowhere else: what workers do by
// themselves has none. Spans say which model was called, what it cost in tokens and
// what came of it; never what was asked or answered.
//
// This is the only package that imports OpenTelemetry's SDK. Read trace.go, then
// calls.go.
package trace
