package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/workflows"
)

// codeNothing is the code of the refusal to retry a batch that leaves nothing to.
const codeNothing = "nothing_to_retry"

// retryBatch makes a new batch of the requests of another one that have no answer.
// Its input is made by its workflow: that of the other one may be large.
func (a *API) retryBatch(c *gin.Context) error {
	key, body, p, err := keyedParams(c)
	if err != nil {
		return err
	}
	old, err := a.knownBatch(c)
	if err != nil {
		return err
	}
	in, err := a.newRetry(p, project(c), old)
	if err != nil {
		return err
	}
	if err := a.checkRetry(c, key, body, in, old); err != nil {
		return err
	}
	o, err := a.create(c, key, body, in)
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, o)
	return nil
}

// newRetry reads what a retry is to be: as the batch was, but for what is said
// otherwise.
func (a *API) newRetry(p *params, project string, old batch.Object) (workflows.BatchInput, error) {
	now := time.Now()
	o := batch.Object{Batch: openai.Batch{
		Object: openai.ObjectBatch, Status: openai.Validating, CreatedAt: now.Unix(), Endpoint: old.Endpoint,
		CompletionWindow: cmp.Or(p.text(fieldWindow), old.CompletionWindow), Metadata: old.Metadata,
	}}
	o.ExpiresAt = p.expiry(o.CompletionWindow, now)
	if p.has("metadata") {
		o.Metadata = p.metadata("metadata")
	}
	expiry := p.object("output_expires_after")
	own := p.object("headrace")
	o.Headrace.RetryOf, o.Headrace.Webhook = old.ID, old.Headrace.Webhook
	if own.has("webhook") {
		o.Headrace.Webhook = a.webhook(own)
	}
	o.Headrace.Options = options(own, old.Headrace.Options)
	in := workflows.BatchInput{
		Run: workflows.Run{Project: project}, Object: o, OutputSeconds: outputSeconds(expiry),
		Retry: &workflows.Retry{Run: workflows.Run{Project: project, Batch: old.ID}, InputFileID: old.InputFileID},
	}
	name(&in, openai.NewID(openai.PrefixBatch))
	return in, p.done(expiry, own)
}

// name gives a batch its id. The input of a retry is named after it, so that
// whoever starts the batch means the same file.
func name(in *workflows.BatchInput, id string) {
	in.Run.Batch, in.Object.ID = id, id
	if in.Retry != nil {
		in.Object.InputFileID = openai.PrefixFile + strings.TrimPrefix(id, openai.PrefixBatch)
	}
}

// checkRetry refuses to retry a batch that runs, that leaves nothing to retry, or
// whose files are gone. A request that is repeated with its key is not looked at: it
// was carried out, and files may have gone since.
func (a *API) checkRetry(c *gin.Context, key string, body []byte, in workflows.BatchInput, old batch.Object) error {
	ctx := c.Request.Context()
	if key != "" {
		own := workflows.Claim{Fingerprint: fingerprint(c.Request, body)}
		_, err := a.held(ctx, keyID(in.Run.Project, kindBatch, key), own)
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	counts := old.RequestCounts
	switch {
	case !old.Status.Final():
		return openai.Conflict("Cannot retry a batch with status '%s': wait until it has ended, or cancel it.", old.Status)
	case counts.Total == 0:
		return openai.InvalidRequest("", codeNothing,
			"There is nothing to retry: no request of batch %s was accepted. Correct its input and create a new batch.", old.ID)
	case counts.Completed >= counts.Total:
		return openai.InvalidRequest("", codeNothing, "There is nothing to retry: every request of batch %s has an answer.", old.ID)
	}
	if err := a.mustHave(ctx, in.Run.Project, old.InputFileID, "the requests of batch "+old.ID); err != nil {
		return err
	}
	if old.OutputFileID == nil {
		return nil
	}
	return a.mustHave(ctx, in.Run.Project, *old.OutputFileID, "which requests of batch "+old.ID+" have an answer")
}

// mustHave refuses a retry for which a file is missing.
func (a *API) mustHave(ctx context.Context, project, id, what string) error {
	_, err := a.file(ctx, project, id)
	if errors.Is(err, store.ErrNotFound) {
		return openai.InvalidRequest("", "file_deleted",
			"The batch cannot be retried: the file %s, which tells %s, was deleted. Create a new batch instead.", id, what)
	}
	return err
}
