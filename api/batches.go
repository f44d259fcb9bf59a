package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"go.temporal.io/api/serviceerror"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/results"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/workflows"
)

func (a *API) listBatches(c *gin.Context) error {
	page, err := pageOf(c, openai.PrefixBatch, batchesPage)
	if err != nil {
		return err
	}
	ctx := c.Request.Context()
	list, err := list(page, a.store.BatchIDs(ctx, project(c)), func(id string) (batch.Object, bool, error) {
		o, err := a.view(ctx, workflows.Run{Project: project(c), Batch: id})
		if errors.Is(err, store.ErrNotFound) {
			return o, false, nil
		}
		return o, true, err
	}, func(o batch.Object) string { return o.ID })
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, list)
	return nil
}

func (a *API) getBatch(c *gin.Context) error {
	o, err := a.knownBatch(c)
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, o)
	return nil
}

// cancelBatch stops a batch. Calls in flight finish, unless the body asks to
// abort them.
func (a *API) cancelBatch(c *gin.Context) error {
	p, err := bodyParams(c)
	if err != nil {
		return err
	}
	own := p.object("headrace")
	abort := own.flag("abort")
	if err := p.done(own); err != nil {
		return err
	}
	o, err := a.knownBatch(c)
	if err != nil {
		return err
	}
	switch o.Status {
	case openai.Completed, openai.Failed, openai.Expired:
		return openai.Conflict("Cannot cancel a batch with status '%s'.", o.Status)
	case openai.Cancelled:
	case openai.Validating, openai.InProgress, openai.Finalizing, openai.Cancelling:
		if o, err = a.cancel(c.Request.Context(), o, abort, project(c)); err != nil {
			return err
		}
	}
	c.JSON(http.StatusOK, o)
	return nil
}

func (a *API) cancel(ctx context.Context, o batch.Object, abort bool, project string) (batch.Object, error) {
	var err error
	if abort {
		err = a.temporal.SignalWorkflow(ctx, o.ID, "", workflows.SignalAbort, nil)
	}
	if err == nil {
		err = a.temporal.CancelWorkflow(ctx, o.ID, "")
	}
	if _, gone := errors.AsType[*serviceerror.NotFound](err); gone { // it has just ended
		return a.view(ctx, workflows.Run{Project: project, Batch: o.ID})
	}
	if o.Status != openai.Cancelling {
		now := time.Now().Unix()
		o.Status, o.CancellingAt = openai.Cancelling, &now
	}
	return o, err
}

// batchResults streams the results that a batch has so far.
func (a *API) batchResults(c *gin.Context) error {
	o, err := a.knownBatch(c)
	if err != nil {
		return err
	}
	c.Header("Content-Type", "application/jsonl")
	c.Status(http.StatusOK)
	return results.Read(c.Request.Context(), a.store, workflows.Run{Project: project(c), Batch: o.ID}, c.Writer)
}

// knownBatch is the batch that the path names.
func (a *API) knownBatch(c *gin.Context) (batch.Object, error) {
	id := c.Param("id")
	o, err := a.view(c.Request.Context(), workflows.Run{Project: project(c), Batch: id})
	if errors.Is(err, store.ErrNotFound) {
		return o, openai.NotFound("", "No batch found with id '%s'.", id)
	}
	return o, err
}
