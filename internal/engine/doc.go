// Package engine is the concurrent core: it takes requests from a source, keeps
// so many calls in flight, tries again what is worth trying, and hands every
// request's outcome to a sink. It is plain Go: no Temporal, no store, no HTTP.
//
//	Source ──► queue ──► hands ──► Caller ──► Sink
//	             ▲                   │
//	             └───── backoff ◄────┘
//
// The engine asks its source for more before it runs dry, and waits for its
// sink when that falls behind. It may import internal/llm.
// Read engine.go, then hand.go, then queue.go.
package engine
