package activities

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/headrace/headrace/internal/jsonl"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
)

// Plan reads the input file once, checks every line, and writes the index of
// chunks. Bad lines are no error: they are counted in the result and listed in
// the store. The input of a retry it makes before.
func (a *Activities) Plan(ctx context.Context, in PlanInput) (PlanResult, error) {
	defer stayAlive(ctx)()
	if in.Retry != nil {
		if problem, err := a.makeInput(ctx, in); err != nil || problem != nil {
			return a.refuseRetry(ctx, in.Run, problem, err)
		}
	}
	input, err := a.Store.OpenFileData(ctx, in.Run.Project, in.InputFileID, 0, -1)
	if errors.Is(err, store.ErrNotFound) {
		return a.refuse(ctx, in.Run, []openai.BatchError{MissingFile(in.InputFileID)}, 1)
	}
	if err != nil {
		return PlanResult{}, err
	}
	defer func() { _ = input.Close() }()
	summary, err := a.index(ctx, in, input)
	if err != nil {
		return PlanResult{}, err
	}
	if summary.ErrorCount > 0 {
		return a.refuse(ctx, in.Run, summary.Errors, summary.ErrorCount)
	}
	result := PlanResult{Requests: summary.Requests, Chunks: summary.Chunks, Model: summary.Model}
	tellBegun(ctx, in, result)
	return result, nil
}

func (a *Activities) index(ctx context.Context, in PlanInput, input io.Reader) (jsonl.Summary, error) {
	index, err := a.Store.Create(ctx, in.Run.Index())
	if err != nil {
		return jsonl.Summary{}, err
	}
	lanes := in.Options.Lanes(int64(in.Options.MaxConcurrency))
	summary, err := jsonl.Plan(ctx, input, index, jsonl.PlanOptions{
		Endpoint: in.Endpoint, Lanes: len(lanes), Hands: lanes[0], TempDir: a.TempDir,
	})
	if err != nil || summary.ErrorCount > 0 {
		index.Abort()
		return summary, err
	}
	return summary, index.Commit()
}

// Problems is what the store keeps of an input that was refused.
type Problems struct {
	Count  int64               `json:"count"`
	Errors []openai.BatchError `json:"errors"` // the first of them
}

func (a *Activities) refuse(ctx context.Context, run Run, list []openai.BatchError, count int64) (PlanResult, error) {
	err := a.Store.PutJSON(ctx, run.Problems(), Problems{Count: count, Errors: list})
	return PlanResult{Problems: count}, err
}

func (a *Activities) refuseRetry(ctx context.Context, run Run, problem *openai.BatchError, err error) (PlanResult, error) {
	if err != nil {
		return PlanResult{}, err
	}
	return a.refuse(ctx, run, []openai.BatchError{*problem}, 1)
}

// MissingFile is the error of a batch whose input file does not exist.
func MissingFile(id string) openai.BatchError {
	param := "file_id"
	return openai.BatchError{
		Code: openai.CodeInvalidRequest, Param: &param,
		Message: fmt.Sprintf("Cannot find file %s, or organization does not have access to it.", id),
	}
}
