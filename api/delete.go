package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/record"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/task"
	"github.com/headrace/headrace/workflows"
)

// deleteBatch deletes a batch that has ended, with its results, its output and
// error file and its history. Its input stays: that is a file of its own. If it is
// interrupted, the batch is still there, and can be deleted again.
func (a *API) deleteBatch(c *gin.Context) error {
	o, err := a.knownBatch(c)
	if err != nil {
		return err
	}
	switch o.Status {
	case openai.Completed, openai.Failed, openai.Expired, openai.Cancelled:
	case openai.Validating, openai.InProgress, openai.Finalizing, openai.Cancelling:
		return openai.Conflict("Cannot delete a batch with status '%s'. Cancel it, and delete it when it has ended.", o.Status)
	}
	ctx, run := c.Request.Context(), workflows.Run{Project: project(c), Batch: o.ID}
	if over, err := a.awaitOver(ctx, o.ID); err != nil {
		return err
	} else if !over {
		return openai.Conflict("Cannot delete a batch that has just ended: it is still being tidied up. Try again in a few seconds.")
	}
	for _, file := range []*string{o.OutputFileID, o.ErrorFileID} {
		if file == nil {
			continue
		}
		if err := a.store.DeleteFile(ctx, run.Project, *file); err != nil {
			return err
		}
	}
	// Tidy has done this, unless the workflow was ended from outside.
	if err := a.store.UnpinFile(ctx, run.Project, o.InputFileID, o.ID); err != nil {
		return err
	}
	if err := a.deleteHistory(ctx, o.ID); err != nil {
		return err
	}
	if err := a.store.DeleteRun(ctx, run); err != nil {
		return err
	}
	c.JSON(http.StatusOK, openai.Deleted{ID: o.ID, Object: openai.ObjectBatch, Deleted: true})
	return nil
}

// deleteTask deletes a task that has ended.
func (a *API) deleteTask(c *gin.Context) error {
	id, err := taskID(c)
	if err != nil {
		return err
	}
	ctx := c.Request.Context()
	o, err := a.task(ctx, project(c), id)
	if err != nil {
		return known(err, c.Param("id"))
	}
	if !o.Status.Final() {
		return openai.Conflict("Cannot delete a task with status '%s'. Cancel it, and delete it when it has ended.", o.Status)
	}
	if err := a.erase(ctx, project(c), id); err != nil {
		return err
	}
	c.JSON(http.StatusOK, openai.Deleted{ID: id.String(), Object: task.ObjectName, Deleted: true})
	return nil
}

// erase deletes a task that has ended from the store. What it was asked for lies in
// the input of its group, which goes once the whole group has ended.
func (a *API) erase(ctx context.Context, project string, id task.ID) error {
	if err := record.Erase(ctx, a.store, project, id); err != nil {
		return err
	}
	g, err := a.describeGroup(ctx, project, id.Group)
	if errors.Is(err, store.ErrNotFound) {
		return nil // nothing is left of it
	}
	if err != nil {
		return err
	}
	for n := 0; n < g.size(); n += task.PartSize {
		ended, err := record.List(ctx, a.store, task.ID{Group: id.Group, N: n}.Part(project))
		if err != nil {
			return err
		}
		if len(ended) < min(task.PartSize, g.size()-n) {
			return nil // the others need the input
		}
	}
	if over, err := a.awaitOver(ctx, id.Workflow()); err != nil || !over {
		return err
	}
	if err := a.deleteHistory(ctx, id.Workflow()); err != nil {
		return err
	}
	return a.store.DeleteAll(ctx, a.store.TaskInputs(ctx, project, id.Group))
}

// overPoll is how often a workflow that is about to end is looked at.
const overPoll = 50 * time.Millisecond

// awaitOver waits for a workflow to end that is about to, and reports whether it
// has. One that is not there has ended.
func (a *API) awaitOver(ctx context.Context, id string) (bool, error) {
	deadline := time.NewTimer(cancelPatience)
	defer deadline.Stop()
	for {
		over, err := a.over(ctx, id)
		if over || err != nil {
			return over, err
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-deadline.C:
			return false, nil
		case <-time.After(overPoll):
		}
	}
}

// over reports whether a workflow has ended, or is not there.
func (a *API) over(ctx context.Context, id string) (bool, error) {
	d, err := a.temporal.DescribeWorkflowExecution(ctx, id, "")
	if _, unknown := errors.AsType[*serviceerror.NotFound](err); unknown {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("describe workflow: %w", err)
	}
	return d.GetWorkflowExecutionInfo().GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING, nil
}

// deleteHistory has Temporal delete every run of a workflow that has ended. Temporal
// answers before it has done so.
func (a *API) deleteHistory(ctx context.Context, id string) error {
	runs := []string{""} // the last one, which a listing may not have yet
	for token := []byte(nil); ; {
		page, err := a.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Query: fmt.Sprintf("WorkflowId = '%s'", id), PageSize: 1000, NextPageToken: token,
		})
		if err != nil {
			return fmt.Errorf("list runs: %w", err)
		}
		for _, e := range page.GetExecutions() {
			runs = append(runs, e.GetExecution().GetRunId())
		}
		if token = page.GetNextPageToken(); len(token) == 0 {
			break
		}
	}
	for _, run := range runs {
		_, err := a.temporal.WorkflowService().DeleteWorkflowExecution(ctx, &workflowservice.DeleteWorkflowExecutionRequest{
			Namespace: a.namespace, WorkflowExecution: &common.WorkflowExecution{WorkflowId: id, RunId: run},
		})
		if _, unknown := errors.AsType[*serviceerror.NotFound](err); err != nil && !unknown {
			return fmt.Errorf("delete history: %w", err)
		}
	}
	return nil
}
