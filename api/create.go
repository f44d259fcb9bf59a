package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/workflows"
)

// windowLimit bounds completion_window.
const windowLimit = batch.Duration(365 * 24 * time.Hour)

// Fields that several requests have.
const (
	fieldWindow      = "completion_window"
	fieldConcurrency = "max_concurrency"
	fieldQueue       = "queue"
	fieldPriority    = "priority"
)

// createBatch starts a batch. Whether its input is good is found out later, as
// OpenAI does: then the batch fails.
func (a *API) createBatch(c *gin.Context) error {
	key, body, p, err := keyedParams(c)
	if err != nil {
		return err
	}
	in, err := a.newBatch(p, project(c))
	if err != nil {
		return err
	}
	if err := a.checkInput(c.Request.Context(), in); err != nil {
		return err
	}
	o, err := a.create(c, key, body, in)
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, o)
	return nil
}

// keyedParams reads a request that makes something and may be sent again with the
// same key.
func keyedParams(c *gin.Context) (key string, body []byte, p *params, err error) {
	if key, err = idempotencyKey(c); err != nil {
		return "", nil, nil, err
	}
	if body, err = readBody(c); err != nil {
		return "", nil, nil, err
	}
	p, err = newParams(body)
	return key, body, p, err
}

// create starts a batch, unless its key stands for one already.
func (a *API) create(c *gin.Context, key string, body []byte, in workflows.BatchInput) (batch.Object, error) {
	ctx := c.Request.Context()
	if key == "" {
		return a.start(ctx, in)
	}
	own := workflows.Claim{Fingerprint: fingerprint(c.Request, body), ID: in.Run.Batch}
	held, err := a.claim(ctx, keyID(in.Run.Project, kindBatch, key), own)
	switch {
	case err != nil:
		return in.Object, err
	case held.ID == own.ID:
		return a.start(ctx, in)
	}
	c.Header(headerReplayed, "true")
	name(&in, held.ID)
	return a.startAgain(ctx, in)
}

// newBatch reads what a batch is to be.
func (a *API) newBatch(p *params, project string) (workflows.BatchInput, error) {
	now := time.Now()
	o := batch.Object{Batch: openai.Batch{
		ID: openai.NewID(openai.PrefixBatch), Object: openai.ObjectBatch, Status: openai.Validating, CreatedAt: now.Unix(),
		InputFileID: p.required("input_file_id"), Endpoint: openai.Endpoint(p.required("endpoint")),
	}}
	if err := oneOf("endpoint", o.Endpoint, openai.Endpoints()); err != nil && p.err == nil {
		p.fail(err)
	}
	o.CompletionWindow = p.required(fieldWindow)
	o.ExpiresAt = p.expiry(o.CompletionWindow, now)
	o.Metadata = p.metadata("metadata")
	expiry := p.object("output_expires_after")
	in := workflows.BatchInput{
		Run: workflows.Run{Project: project, Batch: o.ID}, OutputSeconds: outputSeconds(expiry),
	}
	own := p.object("headrace")
	o.Headrace.Options, o.Headrace.Webhook = options(own, batch.DefaultOptions()), a.webhook(own)
	in.Object = o
	return in, p.done(expiry, own)
}

// expiry is when a window closes that opens at a time.
func (p *params) expiry(window string, opens time.Time) *int64 {
	d, err := batch.ParseDuration(window)
	if err != nil || batch.Duration(d) > windowLimit {
		p.fail(openai.InvalidRequest(fieldWindow, openai.CodeInvalidValue,
			"Invalid value for 'completion_window': expected a duration such as '24h' or '7d', but got '%s'.", window))
	}
	return new(opens.Add(d).Unix())
}

func outputSeconds(p *params) int64 {
	if len(p.fields) == 0 {
		return batchExpiry
	}
	if anchor := p.required("anchor"); anchor != expiryAnchor {
		p.fail(openai.InvalidRequest(p.path+"anchor", openai.CodeInvalidValue,
			"Invalid value: '%s'. Supported values are: '%s'.", anchor, expiryAnchor))
	}
	return p.integer("seconds", shortestExpiry, longestExpiry, batchExpiry)
}

// options reads what headrace adds to OpenAI's parameters. What is absent is as o
// has it.
func options(p *params, o batch.Options) batch.Options {
	o.MaxConcurrency = int(p.integer(fieldConcurrency, 1, batch.MaxConcurrencyLimit, int64(o.MaxConcurrency)))
	o.MaxAttempts = int(p.integer("max_attempts", 1, batch.MaxAttemptsLimit, int64(o.MaxAttempts)))
	o.Timeout = p.duration("timeout", batch.TimeoutLimit, o.Timeout)
	if p.has(fieldQueue) {
		o.Queue = p.name(fieldQueue)
	}
	o.Priority = new(p.priority(fieldPriority, o.CallPriority()))
	if f := p.fallback("fallback"); !f.IsZero() {
		o.Fallback = f
	}
	return o
}

// checkInput refuses a file that is for something else. That is looked at
// before anything is kept, so that the request can be put right and sent again
// with the same key.
func (a *API) checkInput(ctx context.Context, in workflows.BatchInput) error {
	f, err := a.file(ctx, in.Run.Project, in.Object.InputFileID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil // the batch fails, as OpenAI's do
	case err == nil && f.Purpose != openai.PurposeBatch:
		return openai.InvalidRequest("input_file_id", openai.CodeInvalidValue,
			"Invalid value for 'input_file_id': the file %s has the purpose '%s', but 'batch' is needed.", f.ID, f.Purpose)
	default:
		return err
	}
}

// start makes the batch durable and returns it. The input file is pinned first,
// so that the batch keeps it whoever deletes it; a retry pins that of the other
// batch, too.
func (a *API) start(ctx context.Context, in workflows.BatchInput) (batch.Object, error) {
	run, file := in.Run, in.Object.InputFileID
	for _, id := range inputs(in) {
		if err := a.store.PinFile(ctx, run.Project, id, run.Batch); err != nil {
			return in.Object, err
		}
	}
	_, err := a.file(ctx, run.Project, file)
	in.InputMissing = errors.Is(err, store.ErrNotFound) && in.Retry == nil // otherwise it is still to be made
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return in.Object, err
	}
	// A mark without a workflow is passed over by listings; a workflow without
	// a mark would never be listed.
	if err := a.store.MarkBatch(ctx, run); err != nil {
		return in.Object, err
	}
	first, err := a.startWorkflow(ctx, client.StartWorkflowOptions{
		ID: run.Batch, Memo: map[string]any{workflows.MemoBatch: in.Object},
	}, workflows.NameBatch, &in)
	if first {
		a.accepted(AcceptedBatch, 1)
	}
	if err != nil || first {
		return in.Object, err
	}
	return a.join(ctx, in)
}

// startAgain returns the batch that a key stands for. It starts it if nobody
// has: the process that claimed the key may have been killed before it could.
func (a *API) startAgain(ctx context.Context, in workflows.BatchInput) (batch.Object, error) {
	o, err := a.view(ctx, in.Run)
	if errors.Is(err, store.ErrNotFound) {
		return a.start(ctx, in)
	}
	return o, err
}

// join returns a batch that was started by another request with the same key,
// or by a try whose answer got lost. One that has ended took the pin away
// before it was set here, so it is taken away again; one that has not will.
func (a *API) join(ctx context.Context, in workflows.BatchInput) (batch.Object, error) {
	o, err := a.view(ctx, in.Run)
	if err != nil || !o.Status.Final() {
		return o, err
	}
	in.Object = o
	for _, id := range inputs(in) {
		err = cmp.Or(err, a.store.UnpinFile(ctx, in.Run.Project, id, in.Run.Batch))
	}
	return o, err
}

// inputs are the files that a batch reads and that can exist.
func inputs(in workflows.BatchInput) []string {
	files := []string{in.Object.InputFileID}
	if in.Retry != nil {
		files = append(files, in.Retry.InputFileID)
	}
	return slices.DeleteFunc(files, func(id string) bool { return !openai.ValidID(openai.PrefixFile, id) })
}

// What may be repeated is tried again, since Temporal's database may fail for a
// moment or its answer get lost.
const (
	startTries = 3
	startPause = 50 * time.Millisecond // before the second, four times that before the third
)

// startWorkflow starts a workflow unless there is or has been one with its id,
// and reports whether there was none. Of several starts at the same time, in
// whatever processes, Temporal lets one be the first. A start that is tried again
// has the same id, so that it finds the one before.
func (a *API) startWorkflow(ctx context.Context, o client.StartWorkflowOptions, name string, in ...any) (bool, error) {
	o.TaskQueue, o.WorkflowTaskTimeout = workflows.TaskQueue, workflows.TaskTimeout
	o.WorkflowIDReusePolicy = enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
	o.WorkflowExecutionErrorWhenAlreadyStarted = true
	first := true
	err := persist(ctx, func() error {
		_, err := a.temporal.ExecuteWorkflow(ctx, o, name, in...)
		if _, found := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err); found {
			first = false
			return nil
		}
		return err
	})
	return first && err == nil, err
}

// persist tries something until it succeeds, up to startTries times.
func persist(ctx context.Context, try func() error) error {
	pause := startPause
	for n := 1; ; n++ {
		err := try()
		if err == nil || n == startTries {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
		pause *= 4
	}
}
