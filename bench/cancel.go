package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/headrace/headrace/internal/openai"
)

// Sizes of the measure.
const (
	cancelCalls   = 64
	cancelLines   = 2 * cancelCalls
	cancelLatency = "10s"
)

// cancel measures how soon calls are cut off.
func (b *bench) cancel(ctx context.Context) ([]row, error) {
	input, err := b.input(cancelLines)
	if err != nil {
		return nil, err
	}
	n := b.size(100, 3)
	var interrupted, exited []float64
	for range n {
		closed, gone, err := b.interrupt(ctx, input)
		if err != nil {
			return nil, fmt.Errorf("interrupt run: %w", err)
		}
		interrupted, exited = append(interrupted, closed.Seconds()), append(exited, gone.Seconds())
	}
	b.say("  SIGINT to last call gone: %s", spread(interrupted))
	aborted, err := b.abort(ctx, input, n)
	if err != nil {
		return nil, fmt.Errorf("cancel a batch: %w", err)
	}
	b.say("  cancellation to last call gone: %s", spread(aborted))
	p99 := func(what string, target bound, values []float64) row {
		name := fmt.Sprintf("%s, p99 of %d", what, n)
		return single(name, target, milliseconds, quantile(values, 0.99), " (p50 "+milliseconds(median(values))+")")
	}
	return []row{
		p99("SIGINT to `run`, until its last call is gone", atMost(1), interrupted),
		p99("SIGINT to `run`, until it has ended", bound{}, exited),
		p99("batch cancelled with abort on `dev`, until its last call is gone", atMost(1), aborted),
	}, nil
}

func spread(values []float64) string {
	return fmt.Sprintf("p50 %s, p99 %s, worst %s",
		milliseconds(median(values)), milliseconds(quantile(values, 0.99)), milliseconds(quantile(values, 1)))
}

// interrupt interrupts a run, and returns the times until its calls were gone
// and until it was. Each run has a new folder: in the last one's it would go on
// with what it was interrupted in.
func (b *bench) interrupt(ctx context.Context, input string) (closed, gone time.Duration, err error) {
	up, err := b.startUpstream(ctx, cancelLatency)
	if err != nil {
		return 0, 0, err
	}
	defer up.kill()
	dir, remove, err := b.folder()
	if err != nil {
		return 0, 0, err
	}
	defer remove()
	p, err := start(ctx, nil, b.headrace, "run", input, "-o", filepath.Join(dir, "output.jsonl"),
		"--data", filepath.Join(dir, "data"), "--upstream", up.url, "--max-concurrency", fmt.Sprint(cancelCalls))
	if err != nil {
		return 0, 0, err
	}
	defer p.kill()
	if _, err := up.busy(ctx, cancelCalls); err != nil {
		return 0, 0, fmt.Errorf("%w; %s", err, p.tail)
	}
	begun := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		return 0, 0, err
	}
	idle, err := up.busy(ctx, 0)
	if err != nil {
		return 0, 0, err
	}
	<-p.exited
	const interrupted = 130
	if code := p.cmd.ProcessState.ExitCode(); code != interrupted {
		return 0, 0, p.failure(fmt.Sprintf("ended with code %d", code))
	}
	return idle.Sub(begun), p.ended.Sub(begun), nil
}

// abort cancels n batches of one dev and returns the times until their calls
// were gone.
func (b *bench) abort(ctx context.Context, input string, n int) ([]float64, error) {
	up, err := b.startUpstream(ctx, cancelLatency)
	if err != nil {
		return nil, err
	}
	defer up.kill()
	dir, remove, err := b.folder()
	if err != nil {
		return nil, err
	}
	defer remove()
	s, err := b.startService(ctx, filepath.Join(dir, "data"), up.url)
	if err != nil {
		return nil, err
	}
	defer s.kill()
	file, err := s.upload(ctx, input)
	if err != nil {
		return nil, err
	}
	var all []float64
	for range n {
		took, err := s.abortOne(ctx, up, file)
		if err != nil {
			return nil, err
		}
		all = append(all, took.Seconds())
	}
	return all, nil
}

func (s *service) abortOne(ctx context.Context, up *upstream, file string) (time.Duration, error) {
	id, err := s.create(ctx, file, cancelCalls)
	if err != nil {
		return 0, err
	}
	if _, err := up.busy(ctx, cancelCalls); err != nil {
		return 0, err
	}
	begun := time.Now()
	if err := s.cancelNow(ctx, id); err != nil {
		return 0, err
	}
	idle, err := up.busy(ctx, 0)
	if err != nil {
		return 0, err
	}
	o, err := s.final(ctx, id, nil)
	if err == nil && o.Status != openai.Cancelled {
		err = fmt.Errorf("batch %s is %s", id, o.Status)
	}
	return idle.Sub(begun), err
}

// cancelNow cancels a batch and cuts off its calls.
func (s *service) cancelNow(ctx context.Context, id string) error {
	return s.command(ctx, id, "cancel", `{"headrace":{"abort":true}}`)
}

// command tells a batch something.
func (s *service) command(ctx context.Context, id, what, body string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1/batches/"+id+"/"+what, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", what, id, res.Status)
	}
	return nil
}
