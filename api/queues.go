package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"
	"go.temporal.io/sdk/client"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/queue"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/task"
	"github.com/headrace/headrace/workflows"
)

func (a *API) listQueues(c *gin.Context) error {
	ctx := c.Request.Context()
	names, err := a.queueNames(ctx)
	if err != nil {
		return err
	}
	queues, err := a.viewQueues(ctx, names)
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, openai.NewList(queues, false, func(o queue.Object) string { return o.Name }))
	return nil
}

// getQueue shows a queue and, if one is asked about, the place of a task in it.
func (a *API) getQueue(c *gin.Context) error {
	name, err := queueName(c)
	if err != nil {
		return err
	}
	o, err := a.knownQueue(c.Request.Context(), name)
	if err != nil {
		return err
	}
	if id, asked := c.GetQuery("task"); asked {
		if o.Task, err = a.place(c, name, id); err != nil {
			return err
		}
	}
	c.JSON(http.StatusOK, o)
	return nil
}

// place is where a task stands in a queue.
func (a *API) place(c *gin.Context, name, id string) (*queue.Place, error) {
	parsed, ok := task.ParseID(task.Prefix, id)
	if !ok {
		return nil, known(store.ErrNotFound, id)
	}
	o, err := a.task(c.Request.Context(), project(c), parsed)
	if err != nil {
		return nil, known(err, id)
	}
	p := &queue.Place{ID: id}
	if o.Queue == name && !o.Status.Final() && o.WaitingOn != nil {
		p.Position = o.WaitingOn.Position
	}
	return p, nil
}

// putQueue replaces all settings of a queue: what the body does not name is not
// limited.
func (a *API) putQueue(c *gin.Context) error {
	name, change, err := readChange(c)
	if err != nil {
		return err
	}
	return a.changeQueue(c, name, queue.Replace(queue.Settings{}.Apply(change)))
}

// patchQueue changes those settings of a queue that the body names.
func (a *API) patchQueue(c *gin.Context) error {
	name, change, err := readChange(c)
	if err != nil {
		return err
	}
	if change == (queue.Change{}) {
		return a.getQueue(c)
	}
	return a.changeQueue(c, name, change)
}

// changeQueue gives a queue other settings and answers with it. By then they are
// durable; a worker that is up has them in force in a moment.
func (a *API) changeQueue(c *gin.Context, name string, change queue.Change) error {
	ctx := c.Request.Context()
	// A mark without a workflow is a queue without limits, which it is; a workflow
	// without a mark might be listed late.
	if err := a.store.MarkQueue(ctx, name); err != nil {
		return err
	}
	o := client.StartWorkflowOptions{
		TaskQueue: workflows.TaskQueue, WorkflowTaskTimeout: workflows.QueueTaskTimeout,
		Memo: map[string]any{workflows.MemoSettings: queue.Settings{}.Apply(change)},
	}
	err := persist(ctx, func() error {
		_, err := a.temporal.SignalWithStartWorkflow(ctx, workflows.QueueID(name), workflows.SignalSet, change, o,
			workflows.NameQueue, workflows.QueueInput{Name: name})
		return err
	})
	if err != nil {
		return fmt.Errorf("change queue: %w", err)
	}
	now, err := a.viewQueue(ctx, name, change)
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, now)
	return nil
}

// readChange reads which queue is meant and what of it is to change.
func readChange(c *gin.Context) (string, queue.Change, error) {
	var change queue.Change
	name, err := queueName(c)
	if err != nil {
		return name, change, err
	}
	p, err := bodyParams(c)
	if err != nil {
		return name, change, err
	}
	change = p.queueChange()
	return name, change, p.done()
}

// queueName is the name that the path has.
func queueName(c *gin.Context) (string, error) {
	name := c.Param("name")
	if !validName(name) {
		return name, openai.InvalidRequest("name", openai.CodeInvalidValue, "Invalid name of a queue: %s.", expectedName)
	}
	return name, nil
}

// knownQueue is a queue as it is now, or a 404.
func (a *API) knownQueue(ctx context.Context, name string) (queue.Object, error) {
	o, err := a.viewQueue(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return o, openai.NotFound("name",
			"No queue found with name '%s'. Give it settings with PUT /v1/queues/%s, or name it in a task or a batch.", name, name)
	}
	return o, err
}

// mostWeights bounds the projects that have weights.
const mostWeights = 256

// queueChange reads the settings that are named. A null takes the setting away.
func (p *params) queueChange() queue.Change {
	return queue.Change{
		Concurrency: named(p, "concurrency", p.limit(queue.ConcurrencyLimit)),
		RPM:         named(p, "rpm", p.limit(queue.RPMLimit)),
		TPM:         named(p, "tpm", p.limit(queue.TPMLimit)),
		Paused:      named(p, "paused", p.flag),
		Weights:     named(p, "weights", p.weights),
		Fallback:    named(p, "fallback", p.fallback),
	}
}

// named reads a field that is there, nil if it is not.
func named[T any](p *params, name string, read func(name string) T) *T {
	if _, there := p.fields[name]; !there {
		return nil
	}
	return new(read(name))
}

// limit makes a reader of limits up to most; null is 0, which is none.
func (p *params) limit(most int64) func(name string) int64 {
	return func(name string) int64 {
		var n int64
		if p.into(name, openai.KindInteger, &n) && (n < 1 || n > most) {
			p.fail(openai.InvalidRequest(p.path+name, openai.CodeInvalidValue,
				"Invalid value for '%s': expected an integer from 1 to %d, but got %d. "+
					"Leave it out (in a PATCH: null) for no limit, or set 'paused' to let no call begin.", p.path+name, most, n))
		}
		return n
	}
}

// weights reads the shares of projects. They are never nil, so that they
// replace those there are.
func (p *params) weights(name string) map[string]int64 {
	inner := p.object(name)
	if n := len(inner.fields); n > mostWeights {
		p.fail(openai.InvalidRequest(p.path+name, openai.CodeInvalidValue,
			"Invalid '%s': expected at most %d projects, but got %d.", p.path+name, mostWeights, n))
	}
	weights := map[string]int64{}
	for _, project := range slices.Sorted(maps.Keys(inner.fields)) {
		if !validName(project) {
			p.fail(openai.InvalidRequest(inner.path+project, openai.CodeInvalidValue, "Invalid name of a project in '%s': %s.",
				p.path+name, expectedName))
		}
		weights[project] = inner.integer(project, 1, queue.WeightLimit, 1)
	}
	if inner.err != nil {
		p.fail(inner.err)
	}
	return weights
}
