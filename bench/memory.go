package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
)

// resident is the memory of dev over one run, in bytes.
type resident struct{ peak, steady []float64 }

// memory measures whether the memory of dev grows with the batch.
func (b *bench) memory(ctx context.Context) ([]row, error) {
	const concurrency = 64
	small, large := b.size(10_000, 2_000), b.size(1_000_000, 40_000)
	batches := b.size(20, 5)
	var few, many resident
	for range b.repeat {
		if err := b.resident(ctx, small, batches, concurrency, &few); err != nil {
			return nil, err
		}
		if err := b.resident(ctx, large, 1, concurrency, &many); err != nil {
			return nil, err
		}
	}
	name := fmt.Sprintf("resident memory of `dev`, one batch of %d lines against %d of %d: ", large, batches, small)
	return []row{
		compare(name+"peak", atMost(1.2), mebibytes, few.peak, many.peak),
		compare(name+"steady", atMost(1.2), mebibytes, few.steady, many.steady),
	}, nil
}

// resident runs so many batches one after the other in a new dev.
func (b *bench) resident(ctx context.Context, lines, batches, concurrency int, r *resident) error {
	input, err := b.input(lines)
	if err != nil {
		return err
	}
	up, err := b.startUpstream(ctx, "0s")
	if err != nil {
		return err
	}
	defer up.kill()
	dir, remove, err := b.folder()
	if err != nil {
		return err
	}
	defer remove()
	s, err := b.startService(ctx, filepath.Join(dir, "data"), up.url)
	if err != nil {
		return err
	}
	defer s.kill()
	idle, err := s.memory(residentNow)
	if err != nil {
		return err
	}
	var samples []float64
	output := filepath.Join(dir, "output.jsonl")
	for range batches {
		file, err := s.upload(ctx, input)
		if err != nil {
			return err
		}
		if err := s.complete(ctx, file, concurrency, output, s.sample(&samples)); err != nil {
			return err
		}
		if err := checkOutput(output, lines, true); err != nil {
			return err
		}
	}
	peak, err := s.memory(residentPeak)
	if err != nil {
		return err
	}
	if len(samples) == 0 {
		return fmt.Errorf("%d batches of %d lines were over before they were looked at", batches, lines)
	}
	r.peak, r.steady = append(r.peak, peak), append(r.steady, median(samples))
	b.say("  %d × %d lines: idle %s, steady %s (%d samples), peak %s",
		batches, lines, mebibytes(idle), mebibytes(median(samples)), len(samples), mebibytes(peak))
	return nil
}

// sample notes the resident size while a batch is in progress.
func (s *service) sample(samples *[]float64) func(batch.Object) error {
	return func(o batch.Object) error {
		if o.Status != openai.InProgress {
			return nil
		}
		now, err := s.memory(residentNow)
		*samples = append(*samples, now)
		return err
	}
}
