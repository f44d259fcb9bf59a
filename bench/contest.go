package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"time"
)

// load is what both sides of a comparison do.
type load struct {
	lines, concurrency int
	latency            string
}

// trial is one repetition of one side.
type trial struct {
	load

	input, output string
	data          string // a new folder
	upstream      string
}

// side is a way to make the calls. It returns the time that it took, and has
// written the answers to the output.
type side struct {
	name    string
	ordered bool // its output is in the order of the input
	run     func(context.Context, trial) (time.Duration, error)
}

// series are the figures of one side, in seconds: of the whole, and from the
// first to the last call that the upstream saw.
type series struct{ whole, calls []float64 }

// contest lets sides take turns, each time against a new upstream.
func (b *bench) contest(ctx context.Context, l load, sides ...side) ([]series, error) {
	results := make([]series, len(sides))
	for range b.repeat {
		for i, s := range sides {
			took, called, err := b.try(ctx, l, s)
			if err != nil {
				return nil, fmt.Errorf("%s, %d calls, %d at once: %w", s.name, l.lines, l.concurrency, err)
			}
			b.say("  %d calls, %d at once: %-22s %s, first to last call %s",
				l.lines, l.concurrency, s.name, seconds(took.Seconds()), seconds(called.Seconds()))
			results[i].whole = append(results[i].whole, took.Seconds())
			results[i].calls = append(results[i].calls, called.Seconds())
		}
	}
	return results, nil
}

func (b *bench) try(ctx context.Context, l load, s side) (took, called time.Duration, err error) {
	t := trial{load: l}
	if t.input, err = b.input(l.lines); err != nil {
		return 0, 0, err
	}
	up, err := b.startUpstream(ctx, l.latency)
	if err != nil {
		return 0, 0, err
	}
	defer up.kill()
	dir, remove, err := b.folder()
	if err != nil {
		return 0, 0, err
	}
	defer remove()
	t.upstream, t.data, t.output = up.url, filepath.Join(dir, "data"), filepath.Join(dir, "output.jsonl")
	if took, err = s.run(ctx, t); err != nil {
		return 0, 0, err
	}
	stats, err := up.stats(ctx)
	if err != nil {
		return 0, 0, err
	}
	if err := onceEach(stats, l.lines, l.concurrency); err != nil {
		return 0, 0, err
	}
	if err := checkOutput(t.output, l.lines, s.ordered); err != nil {
		return 0, 0, err
	}
	called, err = span(stats)
	return took, called, err
}

// bareLoop is a loop in a process of its own.
func (b *bench) bareLoop(client string) side {
	return side{name: "bare " + client, run: func(ctx context.Context, t trial) (time.Duration, error) {
		p, err := start(ctx, nil, b.self, roleLoop, "-client", client, "-input", t.input, "-output", t.output,
			"-upstream", t.upstream, "-concurrency", strconv.Itoa(t.concurrency))
		if err != nil {
			return 0, err
		}
		return p.wait()
	}}
}

// oneShot is `headrace run`, which brings up everything for one file.
func (b *bench) oneShot() side {
	return side{name: "headrace run", ordered: true, run: func(ctx context.Context, t trial) (time.Duration, error) {
		p, err := start(ctx, nil, b.headrace, "run", t.input, "-o", t.output, "--data", t.data,
			"--upstream", t.upstream, "--max-concurrency", strconv.Itoa(t.concurrency))
		if err != nil {
			return 0, err
		}
		return p.wait()
	}}
}

// upAlready is a `headrace dev` that was ready before; its start is not counted.
func (b *bench) upAlready() side {
	return side{name: "headrace dev", ordered: true, run: func(ctx context.Context, t trial) (time.Duration, error) {
		s, err := b.startService(ctx, t.data, t.upstream)
		if err != nil {
			return 0, err
		}
		defer s.kill()
		begun := time.Now()
		file, err := s.upload(ctx, t.input)
		if err != nil {
			return 0, err
		}
		err = s.complete(ctx, file, t.concurrency, t.output, nil)
		return time.Since(begun), err
	}}
}
