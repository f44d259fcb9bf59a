package activities

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/ledger"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
)

// SaveCommits writes a page of the ledger, so that the workflow need not carry
// it along.
func (a *Activities) SaveCommits(ctx context.Context, in SaveCommitsInput) error {
	defer stayAlive(ctx)()
	return a.saveCommits(ctx, in)
}

func (a *Activities) saveCommits(ctx context.Context, in SaveCommitsInput) error {
	return a.Store.PutJSON(ctx, in.Run.Commits(in.Page), in.Commits)
}

// Finish makes a batch's output files, which are manifests of its chunks'
// results, and then the final batch object, by which clients see that it has
// ended.
func (a *Activities) Finish(ctx context.Context, in FinishInput) error {
	defer stayAlive(ctx)()
	object := in.Object
	if in.Files != nil {
		if err := a.saveCommits(ctx, in.LastCommits); err != nil {
			return err
		}
		if err := a.saveFiles(ctx, in, &object); err != nil {
			return err
		}
	}
	if object.Errors == nil {
		if err := a.addProblems(ctx, in.Run, &object); err != nil {
			return err
		}
	}
	if err := a.Store.PutJSON(ctx, in.Run.Object(), object); err != nil {
		return err
	}
	a.tellEnded(ctx, in.Run, &object)
	if in.Retry != nil {
		if err := a.Store.UnpinFile(ctx, in.Run.Project, in.Retry.InputFileID, in.Run.Batch); err != nil {
			return err
		}
	}
	return a.Store.UnpinFile(ctx, in.Run.Project, object.InputFileID, in.Run.Batch)
}

// addProblems adds the errors of an input that was refused.
func (a *Activities) addProblems(ctx context.Context, run Run, object *batch.Object) error {
	var p Problems
	err := a.Store.GetJSON(ctx, run.Problems(), &p)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	object.Errors = &openai.BatchErrors{Object: "list", Data: p.Errors}
	object.Headrace.ProblemCount = p.Count
	return nil
}

// saveFiles makes the files that have anything in them.
func (a *Activities) saveFiles(ctx context.Context, in FinishInput, object *batch.Object) error {
	commits, err := a.commits(ctx, in.Run)
	if err != nil {
		return err
	}
	var output, failures store.Manifest
	for _, c := range commits {
		if c.OutputBytes > 0 {
			output.Parts = append(output.Parts, store.Part{Key: in.Run.Output(c.Chunk, c.Holder), Bytes: c.OutputBytes})
		}
		if c.ErrorBytes > 0 {
			failures.Parts = append(failures.Parts, store.Part{Key: in.Run.Errors(c.Chunk, c.Holder), Bytes: c.ErrorBytes})
		}
	}
	if object.OutputFileID, err = a.saveFile(ctx, in, in.Files.OutputID, "output", output); err != nil {
		return err
	}
	object.ErrorFileID, err = a.saveFile(ctx, in, in.Files.ErrorID, "error", failures)
	return err
}

// saveFile makes one file and returns its id, or nil if nothing is in it.
func (a *Activities) saveFile(ctx context.Context, in FinishInput, id, what string, m store.Manifest) (*string, error) {
	if len(m.Parts) == 0 {
		return nil, nil //nolint:nilnil // there is no such file
	}
	return &id, a.Store.SaveManifestFile(ctx, in.Run.Project, openai.File{
		ID: id, Object: openai.ObjectFile, Bytes: m.Bytes(), CreatedAt: in.Files.CreatedAt, ExpiresAt: &in.Files.ExpiresAt,
		Filename: in.Run.Batch + "_" + what + ".jsonl", Purpose: openai.PurposeBatchOutput, Status: openai.StatusProcessed,
	}, m)
}

// commits reads every page of the ledger, in the order of chunks.
func (a *Activities) commits(ctx context.Context, run Run) ([]ledger.Commit, error) {
	var all []ledger.Commit
	for key, err := range a.Store.Keys(ctx, run.CommitsPrefix()) {
		if err != nil {
			return nil, err
		}
		var page []ledger.Commit
		if err := a.Store.GetJSON(ctx, key, &page); err != nil {
			return nil, err
		}
		all = append(all, page...)
	}
	slices.SortFunc(all, func(x, y ledger.Commit) int { return cmp.Compare(x.Chunk, y.Chunk) })
	return all, nil
}

// Tidy deletes what a batch that has ended no longer needs: the index, and
// results that do not count because an attempt that was over wrote them. The
// ledger's pages stay, since they tell the two apart.
func (a *Activities) Tidy(ctx context.Context, run Run) error {
	defer stayAlive(ctx)()
	commits, err := a.commits(ctx, run)
	if err != nil {
		return err
	}
	counts := map[string]bool{}
	for _, c := range commits {
		counts[run.Output(c.Chunk, c.Holder)] = true
		counts[run.Errors(c.Chunk, c.Holder)] = true
	}
	useless := func(yield func(string, error) bool) {
		for key, err := range a.Store.Keys(ctx, run.ChunksPrefix()) {
			if !counts[key] && !yield(key, err) {
				return
			}
		}
	}
	if err := a.Store.DeleteAll(ctx, useless); err != nil {
		return err
	}
	if err := a.Store.DeleteUnfinished(ctx, run.Prefix(), 0); err != nil {
		return err
	}
	return a.Store.Delete(ctx, run.Index())
}
