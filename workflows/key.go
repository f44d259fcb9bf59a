package workflows

import "go.temporal.io/sdk/workflow"

// Claim is what an idempotency key stands for.
type Claim struct {
	// Fingerprint tells whether another request with the key is the same.
	Fingerprint string `json:"fingerprint"`
	// ID is that of what the request has made, or will.
	ID string `json:"id"`
}

// Key holds an idempotency key. Its id is derived from the key, so that Temporal
// lets it start once, and its claim is in its memo, which can be read whether or
// not a worker is up. It ends at once, and is held as long as Temporal keeps
// workflows that have ended.
func Key(workflow.Context) error { return nil }
