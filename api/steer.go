package api

import (
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"go.temporal.io/api/serviceerror"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/workflows"
)

// pauseBatch lets a batch begin no more calls until it is resumed.
func (a *API) pauseBatch(c *gin.Context) error { return a.command(c, "pause", batch.Pause()) }

// resumeBatch takes back pauseBatch.
func (a *API) resumeBatch(c *gin.Context) error { return a.command(c, "resume", batch.Resume()) }

// command gives a batch a command that takes no parameters.
func (a *API) command(c *gin.Context, verb string, command batch.Command) error {
	p, err := bodyParams(c)
	if err != nil {
		return err
	}
	if err := p.done(); err != nil {
		return err
	}
	o, err := a.knownBatch(c)
	if err != nil {
		return err
	}
	return a.steer(c, o, verb, command)
}

// changeBatch changes settings of a batch that runs.
func (a *API) changeBatch(c *gin.Context) error {
	p, err := bodyParams(c)
	if err != nil {
		return err
	}
	command, err := commandOf(p)
	if err != nil {
		return err
	}
	o, err := a.knownBatch(c)
	if err != nil {
		return err
	}
	if command.ExpiresAt != nil {
		*command.ExpiresAt += o.CreatedAt
	}
	return a.steer(c, o, "change", command)
}

// commandOf reads what is to be changed. The time of expiry is in seconds after the
// batch was created.
func commandOf(p *params) (batch.Command, error) {
	var c batch.Command
	if p.has(fieldWindow) {
		c.CompletionWindow = new(p.text(fieldWindow))
		c.ExpiresAt = p.expiry(*c.CompletionWindow, time.Unix(0, 0))
	}
	own := p.object("headrace")
	if own.has(fieldConcurrency) {
		c.MaxConcurrency = new(int(own.integer(fieldConcurrency, 1, batch.MaxConcurrencyLimit, 0)))
	}
	if own.has(fieldQueue) {
		c.Queue = new(own.name(fieldQueue))
	}
	if own.has(fieldPriority) {
		c.Priority = new(own.priority(fieldPriority, 0))
	}
	return c, p.done(own)
}

// steer gives a batch a command and answers with what it comes to. Commands take
// effect in the order in which Temporal has them, whichever server they came by.
func (a *API) steer(c *gin.Context, o batch.Object, verb string, command batch.Command) error {
	now := time.Now().Unix()
	switch {
	case o.Status != openai.Validating && o.Status != openai.InProgress:
		return openai.Conflict("Cannot %s a batch with status '%s'.", verb, o.Status)
	case o.ExpiresAt != nil && *o.ExpiresAt <= now:
		return openai.Conflict("Cannot %s a batch whose completion window has closed.", verb)
	}
	if command != (batch.Command{}) {
		err := a.temporal.SignalWorkflow(c.Request.Context(), o.ID, "", workflows.SignalCommand, command)
		if _, gone := errors.AsType[*serviceerror.NotFound](err); gone {
			return openai.Conflict("Cannot %s a batch that has just ended.", verb)
		}
		if err != nil {
			return err
		}
	}
	c.JSON(http.StatusOK, o.Obey(command, now))
	return nil
}
