package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/client"
	"github.com/headrace/headrace/internal/openai"
)

// service is a headrace dev.
type service struct {
	*process

	url    string // without /v1
	client *client.Client
}

// devArgs are those of a dev on free ports.
func devArgs(listen, data, upstream string, more ...string) []string {
	return append([]string{"dev", "--listen", listen, "--temporal-port", "0", "--ui-port", "0", "--data", data, "--upstream", upstream}, more...)
}

// startService starts a dev with its data in the given folder, and waits until
// it is ready. more are flags of dev.
func (b *bench) startService(ctx context.Context, data, upstream string, more ...string) (*service, error) {
	p, err := start(ctx, nil, b.headrace, devArgs("127.0.0.1:0", data, upstream, more...)...)
	if err != nil {
		return nil, err
	}
	url, err := p.url()
	if err != nil {
		p.kill()
		return nil, err
	}
	url = strings.TrimSuffix(url, "/v1")
	return &service{p, url, client.New(url)}, nil
}

// upload uploads an input file and returns its id.
func (s *service) upload(ctx context.Context, path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	uploaded, err := s.client.Upload(ctx, "input.jsonl", file)
	return uploaded.ID, err
}

// create creates a batch and returns its id.
func (s *service) create(ctx context.Context, file string, concurrency int) (string, error) {
	return s.createWith(ctx, file, client.NewBatchOptions{MaxConcurrency: concurrency})
}

func (s *service) createWith(ctx context.Context, file string, options client.NewBatchOptions) (string, error) {
	o, err := s.client.CreateBatch(ctx, client.NewBatch{
		InputFileID: file, Endpoint: openai.ChatCompletions, CompletionWindow: "24h", Headrace: options,
	})
	return o.ID, err
}

// pollEvery is the time between two looks at a batch, as run looks at its own.
const pollEvery = 50 * time.Millisecond

// errTooLong ends a wait for a load that is stuck.
var errTooLong = errors.New("it takes too long")

// final waits until a batch has ended. look, if set, is called at each poll.
func (s *service) final(ctx context.Context, id string, look func(batch.Object) error) (batch.Object, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errTooLong)
	defer cancel()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		o, err := s.client.Batch(ctx, id)
		if err != nil {
			return o, err
		}
		if o.Status.Final() {
			return o, nil
		}
		if look != nil {
			if err := look(o); err != nil {
				return o, err
			}
		}
		select {
		case <-ctx.Done():
			return o, fmt.Errorf("batch %s is %s: %w", id, o.Status, context.Cause(ctx))
		case <-s.exited:
			return o, s.failure("ended")
		case <-ticker.C:
		}
	}
}

// download writes the output of a batch that has completed without a failed
// request to a file.
func (s *service) download(ctx context.Context, o batch.Object, path string) error {
	if o.Status != openai.Completed || o.OutputFileID == nil || o.RequestCounts.Failed != 0 {
		return fmt.Errorf("batch %s is %s with %d failed requests", o.ID, o.Status, o.RequestCounts.Failed)
	}
	content, err := s.client.Content(ctx, *o.OutputFileID)
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := io.Copy(file, content); err != nil {
		_ = file.Close()
		return err
	}
	return file.Close()
}

// complete runs an uploaded file as a batch to its output.
func (s *service) complete(ctx context.Context, file string, concurrency int, output string, look func(batch.Object) error) error {
	id, err := s.create(ctx, file, concurrency)
	if err != nil {
		return err
	}
	o, err := s.final(ctx, id, look)
	if err != nil {
		return err
	}
	return s.download(ctx, o, output)
}
