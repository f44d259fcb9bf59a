package activities

import (
	"time"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/ledger"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/queue"
	"github.com/headrace/headrace/internal/store"
)

// TaskQueue is where workflows and activities wait for workers.
const TaskQueue = "headrace"

// Names of activities, as histories have them.
const (
	NamePlan        = "Plan"
	NameWork        = "Work"
	NameSaveCommits = "SaveCommits"
	NameFinish      = "Finish"
	NameTidy        = "Tidy"
	NameBegin       = "Begin"
	NameCarry       = "Carry"
	NameNudge       = "Nudge"
)

// NudgeInput is the input of Nudge, which waits on the task queue of the one
// process that it is for.
type NudgeInput struct {
	// Subject is the id of the workflow that has something new to say.
	Subject string `json:"subject"`
}

// What a lane says to the workflow that it belongs to.
const (
	// UpdateLease takes a ledger.Request and answers with a ledger.Grant.
	UpdateLease = "lease"
	// QueryStop answers with the ledger.Stop that holds.
	QueryStop = "stop"
	// ErrorFenced is the type of the application error that refuses an attempt
	// which is over.
	ErrorFenced = "Fenced"
)

// Of queues. They are named here since workers start them.
const (
	// NameQueue is the type of the workflow Queue.
	NameQueue = "Queue"
	// UpdateGrant takes a queue.Request and answers with a queue.Grant.
	UpdateGrant = "grant"
	// SignalLeave takes a queue.Request that gives a lease back.
	SignalLeave = "leave"

	prefixQueue = "queue_"
)

// QueueTaskTimeout is how long a worker may take to decide about a queue. It is well
// within a lease (see queue.Grant.TTL), so that the death of the worker which decides
// ends no lease of the others.
const QueueTaskTimeout = 3 * time.Second

// QueueID is the id of the workflow that keeps a queue.
func QueueID(name string) string { return prefixQueue + name }

// QueueInput is the input of the workflow Queue.
type QueueInput struct {
	Name string `json:"name"`
	// Books is where an earlier run of the same queue left off.
	Books *queue.Allocator `json:"books,omitempty"`
}

// Run names a batch and what it keeps in the store.
type Run = store.Run

// PlanInput is the input of Plan.
type PlanInput struct {
	Run         Run             `json:"run"`
	InputFileID string          `json:"input_file_id"`
	Endpoint    openai.Endpoint `json:"endpoint"`
	Options     batch.Options   `json:"options"`
	// Retry, if set, says that the input is still to be made.
	Retry *Retry `json:"retry,omitempty"`
}

// Retry names the batch whose requests without an answer make up the input of
// another one.
type Retry struct {
	Run         Run    `json:"run"`
	InputFileID string `json:"input_file_id"`
}

// PlanResult is the result of Plan. With Problems the batch cannot run.
type PlanResult struct {
	Requests int64  `json:"requests"`
	Chunks   int64  `json:"chunks"`
	Model    string `json:"model,omitempty"` // "" when requests name several
	Problems int64  `json:"problems,omitempty"`
}

// WorkInput is the input of Work.
type WorkInput struct {
	Run         Run             `json:"run"`
	InputFileID string          `json:"input_file_id"`
	Endpoint    openai.Endpoint `json:"endpoint"`
	Options     batch.Options   `json:"options"`
	Lane        int             `json:"lane"`
	Hands       int             `json:"hands"`
	// Unmade, if set, makes the lane call nothing: every request that has no
	// result yet gets this error.
	Unmade *Unmade `json:"unmade,omitempty"`
}

// Unmade is the error of requests that will not be made.
type Unmade struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// SaveCommitsInput is the input of SaveCommits.
type SaveCommitsInput struct {
	Run     Run             `json:"run"`
	Page    int             `json:"page"`
	Commits []ledger.Commit `json:"commits"`
}

// FinishInput is the input of Finish. Object is final but for its files, and
// for the errors of an input that was refused.
type FinishInput struct {
	Run    Run          `json:"run"`
	Object batch.Object `json:"object"`
	// Files is nil for a batch of which no request was made, and then
	// LastCommits is empty too.
	Files       *OutputFiles     `json:"files,omitempty"`
	LastCommits SaveCommitsInput `json:"last_commits"`
	// Retry is the batch that was retried, whose input is needed no more.
	Retry *Retry `json:"retry,omitempty"`
}

// OutputFiles are the files that a batch will have if there is anything to put
// into them. Their ids are chosen beforehand, so that Finish can be repeated.
type OutputFiles struct {
	OutputID  string `json:"output_id"`
	ErrorID   string `json:"error_id"`
	CreatedAt int64  `json:"created_at"` // unix seconds
	ExpiresAt int64  `json:"expires_at"`
}
