// Package dispatch makes calls when and where they may be made: it waits at the
// gate, calls the provider, tells the gate what came of it, and goes to the next
// target where a call falls back. The engine of batches and the runner of tasks
// both call through it.
//
//	Call ──► target ──► gate ──► provider ──► answer
//	           ▲                    │
//	           └───── fallback ◄────┘
//
// It imports internal/{limit, llm, batch, openai, queue, sse}. Read dispatch.go, then
// router.go and trip.go; observe.go is for who measures calls.
package dispatch
