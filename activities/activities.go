package activities

import (
	"time"

	"github.com/headrace/headrace/internal/dispatch"
	"github.com/headrace/headrace/internal/nudge"
	"github.com/headrace/headrace/internal/runner"
	"github.com/headrace/headrace/internal/store"
)

// Activities holds what activities need. Its exported methods are the
// activities.
type Activities struct {
	Store *store.Store
	// Dispatcher makes the calls.
	Dispatcher *dispatch.Dispatcher
	// Runner runs tasks. Host is the task queue that only this process listens
	// to: who asks there finds the tasks that are under way here.
	Runner *runner.Runner
	Host   string
	// Nudges takes what workflows have to say to this process to those who wait
	// for it. Without it nobody waits: lanes hear of changes when they lease.
	Nudges *nudge.Board
	// StopGrace is how long calls in flight may go on when the worker stops. 0
	// cuts them off at once.
	StopGrace time.Duration
	// Webhooks delivers events.
	Webhooks Webhooks
	// TempDir is for files that Plan needs while it runs; empty means the
	// system's.
	TempDir string
	// Observer is told what activities do; nil for nobody.
	Observer Observer
}
