package activities

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/headrace/headrace/internal/jsonl"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/results"
	"github.com/headrace/headrace/internal/store"
)

// makeInput makes the input file of a retry, unless it is there: the lines of the
// other batch's input that have no answer, with the bytes that they have there. It
// returns what is wrong with the other batch, if anything is.
func (a *Activities) makeInput(ctx context.Context, in PlanInput) (*openai.BatchError, error) {
	_, err := a.Store.File(ctx, in.Run.Project, in.InputFileID)
	if !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	answered, err := a.answered(ctx, in.Retry.Run)
	if errors.Is(err, store.ErrNotFound) {
		return cannotRetry("The results of batch %s were deleted: nobody can tell which of its requests have an answer.", in.Retry.Run.Batch), nil
	}
	if err != nil {
		return nil, err
	}
	input, err := a.Store.OpenFileData(ctx, in.Run.Project, in.Retry.InputFileID, 0, -1)
	if errors.Is(err, store.ErrNotFound) {
		return new(MissingFile(in.Retry.InputFileID)), nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = input.Close() }()
	size, err := a.copyLines(ctx, in, input, answered)
	switch {
	case err != nil:
		return nil, err
	case size == 0:
		return cannotRetry("There is nothing to retry: every request of batch %s has an answer.", in.Retry.Run.Batch), nil
	}
	return nil, a.Store.SaveFile(ctx, in.Run.Project, openai.File{
		ID: in.InputFileID, Object: openai.ObjectFile, Bytes: size, CreatedAt: time.Now().Unix(),
		Filename: in.Run.Batch + "_input.jsonl", Purpose: openai.PurposeBatch, Status: openai.StatusProcessed,
	})
}

func cannotRetry(format string, args ...any) *openai.BatchError {
	return &openai.BatchError{Code: openai.CodeInvalidRequest, Message: fmt.Sprintf(format, args...)}
}

// answered finds out which lines of a batch that has ended have an answer. In one
// that was ended by hand, that is whatever has been written.
func (a *Activities) answered(ctx context.Context, run Run) (*results.Lines, error) {
	lines := &results.Lines{}
	finished, err := a.Store.Exists(ctx, run.Object())
	if err != nil {
		return nil, err
	}
	if !finished {
		return lines, lines.AddAnswered(ctx, a.Store, run)
	}
	commits, err := a.commits(ctx, run)
	if err != nil {
		return nil, err
	}
	for _, c := range commits {
		if c.OutputBytes == 0 {
			continue
		}
		if err := lines.AddOutput(ctx, a.Store, run.Output(c.Chunk, c.Holder)); err != nil {
			return nil, err
		}
	}
	return lines, nil
}

// copyLines writes the lines that have no answer into the input file, and returns
// how many bytes they have.
func (a *Activities) copyLines(ctx context.Context, in PlanInput, input io.Reader, answered *results.Lines) (int64, error) {
	w, err := a.Store.CreateFileData(ctx, in.Run.Project, in.InputFileID)
	if err != nil {
		return 0, err
	}
	out, size := bufio.NewWriter(w), int64(0)
	for lines := jsonl.NewReader(input, jsonl.Position{}); ; {
		line, err := lines.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && !answered.Has(line.Number) {
			size += int64(len(line.Text)) + 1
			_, err = out.Write(line.Text)
			err = cmp.Or(err, out.WriteByte('\n'))
		}
		if err != nil {
			w.Abort()
			return 0, err
		}
	}
	if size == 0 {
		w.Abort()
		return 0, nil
	}
	if err := out.Flush(); err != nil {
		w.Abort()
		return 0, err
	}
	return size, w.Commit()
}
