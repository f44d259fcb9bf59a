package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/ledger"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/webhook"
)

// BatchInput is the input of Batch.
type BatchInput struct {
	Run Run `json:"run"`
	// Object is the batch as it was created.
	Object batch.Object `json:"object"`
	// InputMissing says that the input file did not exist then.
	InputMissing bool `json:"input_missing,omitempty"`
	// OutputSeconds is how long the output files are kept.
	OutputSeconds int64 `json:"output_seconds"`
	// Retry, if set, is the batch whose failed and unfinished requests these are.
	Retry *Retry `json:"retry,omitempty"`
	// Books is where an earlier run of the same batch left off.
	Books *Books `json:"books,omitempty"`
}

// Books is what a run of Batch hands to the next one.
type Books struct {
	Ledger ledger.Ledger `json:"ledger"`
	// Pages is the number of ledger pages in the store.
	Pages int    `json:"pages"`
	Why   ending `json:"why,omitempty"`
}

// Batch carries out one batch, from validation to its output files.
func Batch(ctx workflow.Context, in BatchInput) error {
	b := newBatchRun(ctx, in)
	if err := b.listen(ctx); err != nil {
		return err
	}
	return b.run()
}

// ending is why a batch ends before all its requests are made.
type ending string

const (
	notEnding ending = ""
	cancelled ending = "cancelled"
	expired   ending = "expired"
	broken    ending = "broken"
)

// batchRun is one run of Batch.
type batchRun struct {
	ctx    workflow.Context // goes on when the workflow is cancelled
	in     BatchInput
	object batch.Object
	ledger *ledger.Ledger // nil while the input is validated
	pages  int

	why         ending
	sweeping    bool
	abort       bool // cut calls off when ending
	rollover    bool // this run has become long: continue as new
	requests    int  // leases and commands
	laneCtx     workflow.Context
	open        int   // lanes whose activity has not ended
	left        []int // lanes that have left, since lanes were opened last
	cancelLanes workflow.CancelFunc

	steered bool                // by a command, or a lane drains, in this run
	rearm   workflow.CancelFunc // looks at the deadline anew
	nudging map[string]int      // hosts that are being nudged, and whether to do so again
}

func newBatchRun(ctx workflow.Context, in BatchInput) *batchRun {
	disconnected, _ := workflow.NewDisconnectedContext(ctx)
	b := &batchRun{ctx: disconnected, in: in, object: in.Object, cancelLanes: func() {}, nudging: map[string]int{}}
	if in.Books != nil {
		b.ledger, b.pages, b.why = &in.Books.Ledger, in.Books.Pages, in.Books.Why
	}
	return b
}

// run is the life of a batch.
func (b *batchRun) run() error {
	if b.ledger == nil {
		chunks, err := b.plan()
		if err != nil {
			return err
		}
		if chunks == 0 {
			return b.finish(openai.Failed)
		}
		b.ledger = ledger.New(chunks)
	}
	for !b.ledger.Complete() && b.why != broken {
		b.ledger.Resume()
		b.sweeping = b.why != notEnding
		if err := b.runLanes(); err != nil {
			return err
		}
		if b.rollover {
			return b.continueAsNew()
		}
	}
	switch b.why {
	case cancelled:
		return b.finish(openai.Cancelled)
	case expired:
		return b.finish(openai.Expired)
	case broken:
		return b.finish(openai.Failed)
	case notEnding:
		return b.finish(openai.Completed)
	default:
		return b.finish(openai.Failed)
	}
}

// plan validates the input and returns the number of chunks, or 0 if the input
// is refused.
func (b *batchRun) plan() (int64, error) {
	if b.in.InputMissing {
		b.object.Errors = &openai.BatchErrors{
			Object: "list", Data: []openai.BatchError{activities.MissingFile(b.object.InputFileID)},
		}
		return 0, nil
	}
	var result activities.PlanResult
	err := b.do(planOptions, activities.NamePlan, activities.PlanInput{
		Run: b.in.Run, InputFileID: b.object.InputFileID, Endpoint: b.object.Endpoint, Options: b.object.Headrace.Options,
		Retry: b.in.Retry,
	}).Get(b.ctx, &result)
	if err != nil || result.Problems > 0 {
		return 0, err
	}
	b.object.RequestCounts.Total = result.Requests
	if result.Model != "" {
		b.object.Model = &result.Model
	}
	b.object.InProgressAt = b.now()
	if b.why == notEnding {
		b.object.Status = openai.InProgress
	}
	return result.Chunks, b.publish()
}

// finish writes the end of the batch down.
func (b *batchRun) finish(status openai.Status) error {
	if status == openai.Completed {
		b.object.Status, b.object.FinalizingAt = openai.Finalizing, b.now()
		if err := b.publish(); err != nil {
			return err
		}
	}
	if b.ledger != nil {
		b.ledger.Partials = nil // what is not committed is in no file
	}
	b.object = b.current().Unpaused()
	b.object.Status = status
	b.stamp()
	in := activities.FinishInput{Run: b.in.Run, Object: b.object, Retry: b.in.Retry}
	if b.ledger != nil {
		in.Files = b.outputFiles()
		in.LastCommits = activities.SaveCommitsInput{Run: b.in.Run, Page: b.pages, Commits: b.ledger.TakeCommits()}
	}
	if err := b.do(finishOptions, activities.NameFinish, in).Get(b.ctx, nil); err != nil {
		return err
	}
	return b.close()
}

// close lets those who want to hear of the end hear of it, and tidies up. The
// batch has ended by now, whatever becomes of either.
func (b *batchRun) close() error {
	tidied := b.do(tidyOptions, activities.NameTidy, b.in.Run)
	if url := b.object.Headrace.Webhook; url != "" {
		event := webhook.EventOf(b.newID(webhook.PrefixEvent), webhook.OfBatch(b.object.Status), b.object.ID, workflow.Now(b.ctx))
		in := activities.NotifyInput{Project: b.in.Run.Project, URL: url, Event: event}
		if err := b.do(notifyOptions, activities.NameNotify, in).Get(b.ctx, nil); err != nil {
			return err
		}
	}
	return tidied.Get(b.ctx, nil)
}

// stamp notes the time of the final status.
func (b *batchRun) stamp() {
	now := b.now()
	switch b.object.Status {
	case openai.Completed:
		b.object.CompletedAt = now
	case openai.Failed:
		b.object.FailedAt = now
	case openai.Expired:
		b.object.ExpiredAt = now
	case openai.Cancelled:
		b.object.CancelledAt = now
	case openai.Validating, openai.InProgress, openai.Finalizing, openai.Cancelling:
	}
}

func (b *batchRun) outputFiles() *activities.OutputFiles {
	files := activities.OutputFiles{CreatedAt: *b.now()}
	files.ExpiresAt = files.CreatedAt + b.in.OutputSeconds
	files.OutputID, files.ErrorID = b.newID(openai.PrefixFile), b.newID(openai.PrefixFile)
	return &files
}

func (b *batchRun) newID(prefix string) string {
	var id string
	value := workflow.SideEffect(b.ctx, func(workflow.Context) any {
		return openai.NewID(prefix) //workflowcheck:ignore
	})
	if err := value.Get(&id); err != nil {
		panic(err) // a string that does not decode: the history is not ours
	}
	return id
}

// continueAsNew goes on in a new run, with short history, once no lane is open
// and the pages of the ledger are in the store.
func (b *batchRun) continueAsNew() error {
	page := activities.SaveCommitsInput{Run: b.in.Run, Page: b.pages, Commits: b.ledger.TakeCommits()}
	if err := b.do(finishOptions, activities.NameSaveCommits, page).Get(b.ctx, nil); err != nil {
		return err
	}
	if err := workflow.Await(b.ctx, func() bool { return workflow.AllHandlersFinished(b.ctx) }); err != nil {
		return err
	}
	b.obeyWaiting() // a command that nobody has looked at would be lost
	next := b.in
	next.Object = b.object
	next.Books = &Books{Ledger: *b.ledger, Pages: b.pages + 1, Why: b.why}
	return workflow.NewContinueAsNewError(b.ctx, NameBatch, next)
}

// current is the object with what lanes that have left keep in the store. Those
// still open tell of themselves in their heartbeats.
func (b *batchRun) current() batch.Object {
	o := b.object
	if b.ledger != nil {
		kept := b.ledger.Kept()
		o.RequestCounts.Completed, o.RequestCounts.Failed = kept.Completed, kept.Failed
		o.Usage = &kept.Usage
	}
	return o
}

// publish lets everybody see the object, with or without a worker at hand.
func (b *batchRun) publish() error {
	return workflow.UpsertMemo(b.ctx, map[string]any{MemoBatch: b.current(), MemoLeft: b.left})
}

func (b *batchRun) now() *int64 {
	now := workflow.Now(b.ctx).Unix()
	return &now
}

func (b *batchRun) do(o workflow.ActivityOptions, name string, in any) workflow.Future {
	return workflow.ExecuteActivity(workflow.WithActivityOptions(b.ctx, o), name, in)
}

// untilExpiry is how long the batch may still run.
func (b *batchRun) untilExpiry() time.Duration {
	if b.object.ExpiresAt == nil {
		return 0
	}
	return time.Unix(*b.object.ExpiresAt, 0).Sub(workflow.Now(b.ctx))
}
