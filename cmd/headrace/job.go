package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/client"
	"github.com/headrace/headrace/internal/openai"
)

// metadataRun is the metadata by which a run finds its batch again.
const metadataRun = "headrace_run"

// job is one run of a file, as a client of the HTTP API.
type job struct {
	program program
	flags   runFlags
	client  *client.Client
	input   *input
	outputs *outputs
	key     string
	begun   time.Time
}

func (j *job) say(format string, args ...any) {
	_, _ = fmt.Fprintf(j.program.stderr, format+"\n", args...)
}

// run sees the batch through. halt is called as soon as an interrupt comes.
func (j *job) run(ctx context.Context, halt func()) error {
	o, err := j.find(ctx)
	if err != nil {
		return err
	}
	if err := j.outputs.mayReplace(o.ID); err != nil {
		return err
	}
	if o.ID == "" {
		if o, err = j.create(ctx); err != nil {
			return err
		}
	}
	done, err := j.wait(ctx, o)
	if ctx.Err() != nil {
		halt()
		j.sayInterrupted(done)
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	return j.finish(ctx, done)
}

// find returns the batch that an earlier run of the same file has left, or an
// empty one.
func (j *job) find(ctx context.Context) (batch.Object, error) {
	if j.flags.fresh {
		return batch.Object{}, nil
	}
	o, found, err := j.client.FindBatch(ctx, func(o batch.Object) bool {
		return o.Metadata[metadataRun] == j.key && j.canGoOn(o)
	})
	if err != nil {
		return batch.Object{}, j.hint(err)
	}
	if !found {
		return batch.Object{}, nil
	}
	if o.Status == openai.Completed {
		j.say("This file has been run already: no calls are made (--new runs it again).")
		return o, nil
	}
	j.say("Going on with %s: %s of %s done.", o.ID, count(o.RequestCounts.Completed+o.RequestCounts.Failed), count(o.RequestCounts.Total))
	if o.Headrace.MaxConcurrency != j.flags.maxConcurrency {
		j.say("It keeps its --max-concurrency of %d.", o.Headrace.MaxConcurrency)
	}
	return o, nil
}

// hint adds the next step to the error of a server that does not answer.
func (j *job) hint(err error) error {
	if j.flags.server == "" {
		return err
	}
	return hintServer(err)
}

// canGoOn reports whether a batch is of use to a later run.
func (j *job) canGoOn(o batch.Object) bool {
	switch o.Status {
	case openai.Validating, openai.InProgress, openai.Finalizing, openai.Completed:
		return true
	case openai.Failed, openai.Expired, openai.Cancelling, openai.Cancelled:
		return false
	default:
		return false
	}
}

// completionWindow is that of a run: somebody who waits for it stops it when it
// takes too long, and a laptop may be asleep for days.
const completionWindow = "30d"

func (j *job) create(ctx context.Context) (batch.Object, error) {
	content, err := j.input.rewind()
	if err != nil {
		return batch.Object{}, err
	}
	file, err := j.client.Upload(ctx, j.input.name(), content)
	if err != nil {
		return batch.Object{}, fmt.Errorf("upload %s: %w", j.input.path, err)
	}
	o, err := j.client.CreateBatch(ctx, client.NewBatch{
		InputFileID: file.ID, Endpoint: j.input.endpoint, CompletionWindow: completionWindow,
		Metadata: map[string]string{metadataRun: j.key},
		Headrace: client.NewBatchOptions{MaxConcurrency: j.flags.maxConcurrency},
	})
	if err != nil {
		return o, fmt.Errorf("create batch: %w", err)
	}
	return o, nil
}

// Bounds of the time between two looks at the batch. A server that is far away
// is not asked more often than seldom.
const (
	often  = 20 * time.Millisecond
	seldom = 250 * time.Millisecond
)

// pause is the time until the next look at the batch: a look costs what a few
// calls cost, and its end should be seen when it comes. So there are more looks
// towards the end.
func (j *job) pause(o batch.Object, passed time.Duration) time.Duration {
	c := o.RequestCounts
	done := c.Completed + c.Failed
	if j.flags.server != "" {
		return seldom
	}
	if done == 0 {
		return often
	}
	left := time.Duration(float64(passed) * float64(c.Total-done) / float64(done))
	const looks = 4 // at least so many until the end
	return min(max(left/looks, often), seldom)
}

// wait shows the batch's progress until it has ended, and returns it as it was
// seen last.
func (j *job) wait(ctx context.Context, o batch.Object) (batch.Object, error) {
	shown := newProgress(j.program.stderr)
	defer shown.end()
	begun := time.Now()
	for !o.Status.Final() {
		select {
		case <-ctx.Done():
			return o, ctx.Err()
		case <-time.After(j.pause(o, time.Since(begun))):
		}
		latest, err := j.client.Batch(ctx, o.ID)
		var refused *openai.Error
		switch {
		case ctx.Err() != nil:
			return o, ctx.Err()
		case errors.As(err, &refused) && refused.Status < 500:
			return o, err
		case err != nil: // it may come back
			shown.trouble(err)
			continue
		}
		o = latest
		shown.show(o)
	}
	return o, nil
}

func (j *job) sayInterrupted(o batch.Object) {
	c := o.RequestCounts
	state := fmt.Sprintf("%s of %s requests have their result", count(c.Completed+c.Failed), count(c.Total))
	if c.Total == 0 {
		state = "the input was still being read"
	}
	if j.flags.server != "" {
		j.say("Interrupted: %s, and the server goes on with %s. Run the same command again to wait for it.", state, o.ID)
		return
	}
	j.say("Interrupted: %s. Run the same command again to go on.", state)
}

// finish writes what the batch came to.
func (j *job) finish(ctx context.Context, o batch.Object) error {
	switch o.Status {
	case openai.Failed:
		j.sayErrors(o)
		return exitError(exitFailed)
	case openai.Completed, openai.Expired, openai.Cancelled:
	case openai.Validating, openai.InProgress, openai.Finalizing, openai.Cancelling:
	}
	failures, err := j.outputs.write(ctx, j.client, o)
	if err != nil {
		return err
	}
	j.saySummary(o, failures)
	if o.Status != openai.Completed {
		return fmt.Errorf("the batch has ended as %s", o.Status)
	}
	if o.RequestCounts.Failed > 0 {
		return exitError(exitFailures)
	}
	return nil
}

// errorsShown bounds the bad lines that are printed one by one.
const errorsShown = 10

func (j *job) sayErrors(o batch.Object) {
	j.say("headrace: %s cannot be run, and nothing was called:", j.input.path)
	if o.Errors == nil {
		return
	}
	total := max(o.Headrace.ProblemCount, int64(len(o.Errors.Data)))
	for i, e := range o.Errors.Data {
		if i == errorsShown {
			j.say("  … and %s more.", count(total-errorsShown))
			break
		}
		where := ""
		if e.Line != nil {
			where = fmt.Sprintf("line %s: ", count(*e.Line))
		}
		j.say("  %s%s (%s)", where, e.Message, e.Code)
	}
}
