// Package limit holds calls back until they may be made. Every call of a process
// passes its Gate: it waits there until its queue has a permit for it and enough
// of its budgets, its provider takes calls, and the process has room, all at once,
// so that no call holds the one while it waits for the other.
//
//	Ticket ──► line of its queue ──► Pass ──► call ──► Leave
//	              ▲        ▲
//	        lease of the   upstream: cool-down, window, breaker
//	        queue's limits
//
// What a queue allows holds over all processes. The gate leases its part from the
// queue's allocator (internal/queue), for all its calls together, and keeps to it
// without a message for each call. When a lease ends without having been renewed,
// calls in flight are cut off and none is begun.
//
// It imports internal/{queue, llm, batch} and nothing else of ours. Read gate.go,
// line.go, choose.go, lease.go, then upstream.go.
package limit
