package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/headrace/headrace/internal/jsonl"
	"github.com/headrace/headrace/internal/openai"
)

// planned is what the child reports.
type planned struct {
	Requests int64   `json:"requests"`
	Bytes    int64   `json:"bytes"`
	Seconds  float64 `json:"seconds"`
}

// plan measures how fast an input file is validated and indexed on one core.
func (b *bench) plan(ctx context.Context) ([]row, error) {
	lines := b.size(1_000_000, 50_000)
	input, err := b.input(lines)
	if err != nil {
		return nil, err
	}
	var rates []float64
	var size int64
	for range b.repeat {
		p, err := start(ctx, []string{"GOMAXPROCS=1"}, b.self, rolePlan, input)
		if err != nil {
			return nil, err
		}
		report, err := p.announced()
		if err != nil {
			return nil, err
		}
		if _, err := p.wait(); err != nil {
			return nil, err
		}
		var r planned
		if err := json.Unmarshal([]byte(report), &r); err != nil {
			return nil, err
		}
		if r.Requests != int64(lines) {
			return nil, fmt.Errorf("%d of %d lines were planned", r.Requests, lines)
		}
		rates, size = append(rates, float64(r.Bytes)/r.Seconds), r.Bytes
		b.say("  %d lines: %s", lines, megabytes(rates[len(rates)-1]))
	}
	name := fmt.Sprintf("validate and index %d lines, %d MB, on one core", lines, size/1e6)
	return []row{single(name, atLeast(60e6), megabytes, median(rates), "")}, nil
}

// planFile is the child's role: it plans a file and prints a report.
func planFile(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) != 1 {
		return errors.New("plan: expected one file")
	}
	file, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	begun := time.Now()
	s, err := jsonl.Plan(ctx, file, io.Discard, jsonl.PlanOptions{Endpoint: openai.ChatCompletions, Lanes: 1, Hands: 64})
	if err != nil {
		return err
	}
	if s.ErrorCount > 0 {
		return fmt.Errorf("plan: %d bad lines", s.ErrorCount)
	}
	return json.NewEncoder(stdout).Encode(planned{Requests: s.Requests, Bytes: s.Bytes, Seconds: time.Since(begun).Seconds()})
}
