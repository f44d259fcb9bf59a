package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/workflows"
)

// windowLimit bounds completion_window.
const windowLimit = batch.Duration(365 * 24 * time.Hour)

// createBatch starts a batch. Whether its input is good is found out later, as
// OpenAI does: then the batch fails.
func (a *API) createBatch(c *gin.Context) error {
	p, err := bodyParams(c)
	if err != nil {
		return err
	}
	in, err := newBatch(p, project(c))
	if err != nil {
		return err
	}
	if err := a.start(c, &in); err != nil {
		return err
	}
	c.JSON(http.StatusOK, in.Object)
	return nil
}

// newBatch reads what a batch is to be.
func newBatch(p *params, project string) (workflows.BatchInput, error) {
	now := time.Now()
	o := batch.Object{Batch: openai.Batch{
		ID: openai.NewID(openai.PrefixBatch), Object: openai.ObjectBatch, Status: openai.Validating, CreatedAt: now.Unix(),
		InputFileID: p.required("input_file_id"), Endpoint: openai.Endpoint(p.required("endpoint")),
	}}
	if err := oneOf("endpoint", o.Endpoint, openai.Endpoints()); err != nil && p.err == nil {
		p.fail(err)
	}
	o.CompletionWindow = p.required("completion_window")
	if window, err := batch.ParseDuration(o.CompletionWindow); err == nil && batch.Duration(window) <= windowLimit {
		expires := now.Add(window).Unix()
		o.ExpiresAt = &expires
	} else {
		p.fail(openai.InvalidRequest("completion_window", openai.CodeInvalidValue,
			"Invalid value for 'completion_window': expected a duration such as '24h' or '7d', but got '%s'.", o.CompletionWindow))
	}
	o.Metadata = p.metadata("metadata")
	expiry := p.object("output_expires_after")
	in := workflows.BatchInput{
		Run: workflows.Run{Project: project, Batch: o.ID}, OutputSeconds: outputSeconds(expiry),
	}
	own := p.object("headrace")
	o.Headrace.Options = options(own)
	in.Object = o
	return in, p.done(expiry, own)
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

// options reads what headrace adds to OpenAI's parameters.
func options(p *params) batch.Options {
	o := batch.DefaultOptions()
	o.MaxConcurrency = int(p.integer("max_concurrency", 1, batch.MaxConcurrencyLimit, int64(o.MaxConcurrency)))
	o.MaxAttempts = int(p.integer("max_attempts", 1, batch.MaxAttemptsLimit, int64(o.MaxAttempts)))
	o.Timeout = p.duration("timeout", batch.TimeoutLimit, o.Timeout)
	return o
}

// start makes the batch durable. The input file is pinned first, so that the
// batch keeps it whoever deletes it.
func (a *API) start(c *gin.Context, in *workflows.BatchInput) error {
	ctx := c.Request.Context()
	run, file := in.Run, in.Object.InputFileID
	if openai.ValidID(openai.PrefixFile, file) {
		if err := a.store.PinFile(ctx, run.Project, file, run.Batch); err != nil {
			return err
		}
	}
	f, err := a.file(ctx, run.Project, file)
	switch {
	case errors.Is(err, store.ErrNotFound):
		in.InputMissing = true // the batch fails, as OpenAI's do
	case err != nil:
		return err
	case f.Purpose != openai.PurposeBatch:
		err := a.store.UnpinFile(ctx, run.Project, file, run.Batch)
		return errors.Join(err, openai.InvalidRequest("input_file_id", openai.CodeInvalidValue,
			"Invalid value for 'input_file_id': the file %s has the purpose '%s', but 'batch' is needed.", file, f.Purpose))
	}
	// A mark without a workflow is passed over by listings; a workflow without
	// a mark would never be listed.
	if err := a.store.MarkBatch(ctx, run); err != nil {
		return err
	}
	return a.startWorkflow(ctx, in)
}

// Starting a workflow is tried again, since Temporal's database may fail for a
// moment or its answer get lost. The id stays the same, so that a second start
// finds the first.
const (
	startTries = 3
	startPause = 50 * time.Millisecond // before the second, four times that before the third
)

func (a *API) startWorkflow(ctx context.Context, in *workflows.BatchInput) error {
	o := client.StartWorkflowOptions{
		ID: in.Run.Batch, TaskQueue: workflows.TaskQueue, WorkflowTaskTimeout: workflows.TaskTimeout,
		WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		Memo:                  map[string]any{workflows.MemoBatch: in.Object},
	}
	pause := startPause
	for try := 1; ; try++ {
		_, err := a.temporal.ExecuteWorkflow(ctx, o, workflows.NameBatch, in)
		if err == nil || try == startTries {
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
