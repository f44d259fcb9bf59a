package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"go.temporal.io/api/serviceerror"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/task"
	"github.com/headrace/headrace/workflows"
)

// createTasks accepts one task or a list of them.
func (a *API) createTasks(c *gin.Context) error {
	body, err := a.readBody(c)
	if err != nil {
		return err
	}
	specs, many, err := a.parseTasks(c.ContentType(), body)
	if err != nil {
		return err
	}
	objects, err := a.accept(c, body, specs, many)
	if err != nil {
		return err
	}
	if !many {
		c.Header("Location", "/v1/tasks/"+objects[0].ID)
		return writeTask(c, http.StatusAccepted, objects[0])
	}
	return writeTasks(c, http.StatusAccepted, objects, false)
}

// kindTasks is what idempotency keys of requests stand for that make tasks.
const kindTasks = "task"

// accept makes tasks durable. Those of a request with an idempotency key are
// accepted once.
func (a *API) accept(c *gin.Context, body []byte, specs []task.Spec, many bool) ([]task.Object, error) {
	ctx := c.Request.Context()
	a.trace(ctx, specs)
	key, err := idempotencyKey(c)
	switch {
	case err != nil:
		return nil, err
	case key != "":
		return a.acceptOnce(c, key, body, specs)
	case many:
		return a.submitGroup(ctx, project(c), task.NewGroup(), specs)
	}
	o, err := a.submit(ctx, project(c), specs[0])
	return []task.Object{o}, err
}

// acceptOnce accepts tasks under a key, or returns those that were accepted
// under it before.
func (a *API) acceptOnce(c *gin.Context, key string, body []byte, specs []task.Spec) ([]task.Object, error) {
	ctx := c.Request.Context()
	own := workflows.Claim{Fingerprint: fingerprint(c.Request, body), ID: task.NewGroup()}
	held, err := a.claim(ctx, keyID(project(c), kindTasks, key), own)
	if err != nil {
		return nil, err
	}
	if held.ID == own.ID {
		return a.submitGroup(ctx, project(c), own.ID, specs)
	}
	c.Header(headerReplayed, "true")
	objects := make([]task.Object, len(specs))
	for n := range specs {
		objects[n], err = a.task(ctx, project(c), task.ID{Group: held.ID, N: n})
		if errors.Is(err, store.ErrNotFound) {
			// Claimed by a process that was killed before it could start them, or
			// that is about to: whoever comes second finds them started.
			return a.submitGroup(ctx, project(c), held.ID, specs)
		}
		if err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// longestWait bounds ?wait=.
const longestWait = 10 * time.Minute

func (a *API) getTask(c *gin.Context) error {
	id, err := taskID(c)
	if err != nil {
		return err
	}
	o, err := a.task(c.Request.Context(), project(c), id)
	if err != nil {
		return known(err, c.Param("id"))
	}
	wait, err := waitOf(c)
	if err != nil {
		return err
	}
	if wait > 0 && !o.Status.Final() {
		ctx, cancel := contextWithTimeout(c, wait)
		defer cancel()
		if o, err = a.await(ctx, project(c), id); err != nil {
			return err
		}
	}
	return writeTask(c, http.StatusOK, o)
}

// waitOf is how long a client wants to wait, 0 for not at all.
func waitOf(c *gin.Context) (time.Duration, error) {
	s, asked := c.GetQuery("wait")
	if !asked {
		return 0, nil
	}
	d, err := batch.ParseDuration(s)
	if err != nil || d > longestWait {
		return 0, openai.InvalidRequest("wait", openai.CodeInvalidValue,
			"Invalid value for 'wait': expected a duration such as '30s' of at most %s, but got '%s'.", longestWait, s)
	}
	return d, nil
}

// cancelTask cancels a task. It answers when the task has ended, or after a few
// seconds: the cancellation is durable by then.
func (a *API) cancelTask(c *gin.Context) error {
	id, err := taskID(c)
	if err != nil {
		return err
	}
	o, err := a.cancelled(c.Request.Context(), project(c), id)
	if err != nil {
		return known(err, c.Param("id"))
	}
	if o.Status == task.Completed || o.Status == task.Failed {
		return openai.Conflict("Cannot cancel a task with status '%s'.", o.Status)
	}
	return writeTask(c, http.StatusOK, o)
}

// cancelPatience is how long a cancellation waits to be seen.
const cancelPatience = 5 * time.Second

// cancelled cancels a task unless it has ended, and returns it.
func (a *API) cancelled(ctx context.Context, project string, id task.ID) (task.Object, error) {
	o, err := a.task(ctx, project, id)
	if err != nil || o.Status.Final() {
		return o, err
	}
	err = a.temporal.SignalWorkflow(ctx, id.Workflow(), "", workflows.SignalCancel, []int{id.N})
	if _, gone := errors.AsType[*serviceerror.NotFound](err); err != nil && !gone { // gone: it has just ended
		return o, err
	}
	if a.runner != nil {
		a.runner.Cancel(project, id)
	}
	ctx, cancel := context.WithTimeout(ctx, cancelPatience)
	defer cancel()
	return a.await(ctx, project, id)
}

// taskID is the id that the path names.
func taskID(c *gin.Context) (task.ID, error) {
	id, ok := task.ParseID(task.Prefix, c.Param("id"))
	if !ok {
		return id, known(store.ErrNotFound, c.Param("id"))
	}
	return id, nil
}

// known makes a 404 of store.ErrNotFound.
func known(err error, id string) error {
	if errors.Is(err, store.ErrNotFound) {
		return openai.NotFound("id", "No task found with id '%s'.", id)
	}
	return err
}

const jsonType = "application/json; charset=utf-8"

// writeTask answers with a task.
func writeTask(c *gin.Context, status int, o task.Object) error {
	data, err := o.JSON()
	if err != nil {
		return err
	}
	c.Data(status, jsonType, data)
	return nil
}

// writeTasks answers with a list of tasks. The bodies of results are left out.
func writeTasks(c *gin.Context, status int, objects []task.Object, more bool) error {
	list := openai.NewList(objects, more, func(o task.Object) string { return o.ID })
	data, err := json.Marshal(list)
	if err != nil {
		return err
	}
	c.Header("Content-Length", strconv.Itoa(len(data)))
	c.Data(status, jsonType, data)
	return nil
}
