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

// side is a way to make the calls. It has written the answers to the output
// when it returns, and its process has ended.
type side struct {
	name    string
	ordered bool // its output is in the order of the input
	run     func(context.Context, trial) (times, error)
}

// times are the figures of one repetition: of the whole, from the first to the
// last call that the upstream saw, and on processors.
type times struct{ whole, calls, processors time.Duration }

// series are the figures of one side, in seconds.
type series struct{ whole, calls, processors []float64 }

// contest lets sides take turns, each time against a new upstream.
func (b *bench) contest(ctx context.Context, l load, sides ...side) ([]series, error) {
	results := make([]series, len(sides))
	for range b.repeat {
		for i, s := range sides {
			took, err := b.try(ctx, l, s)
			if err != nil {
				return nil, fmt.Errorf("%s, %d calls, %d at once: %w", s.name, l.lines, l.concurrency, err)
			}
			b.say("  %d calls, %d at once: %-16s %s, first to last call %s, on processors %s", l.lines, l.concurrency, s.name,
				seconds(took.whole.Seconds()), seconds(took.calls.Seconds()), seconds(took.processors.Seconds()))
			results[i].whole = append(results[i].whole, took.whole.Seconds())
			results[i].calls = append(results[i].calls, took.calls.Seconds())
			results[i].processors = append(results[i].processors, took.processors.Seconds())
		}
	}
	return results, nil
}

func (b *bench) try(ctx context.Context, l load, s side) (took times, err error) {
	t := trial{load: l}
	if t.input, err = b.input(l.lines); err != nil {
		return took, err
	}
	up, err := b.startUpstream(ctx, l.latency)
	if err != nil {
		return took, err
	}
	defer up.kill()
	dir, remove, err := b.folder()
	if err != nil {
		return took, err
	}
	defer remove()
	t.upstream, t.data, t.output = up.url, filepath.Join(dir, "data"), filepath.Join(dir, "output.jsonl")
	if took, err = s.run(ctx, t); err != nil {
		return took, err
	}
	stats, err := up.stats(ctx)
	if err != nil {
		return took, err
	}
	if err := onceEach(stats, l.lines, l.concurrency); err != nil {
		return took, err
	}
	if err := checkOutput(t.output, l.lines, s.ordered); err != nil {
		return took, err
	}
	took.calls, err = span(stats)
	return took, err
}

// bareLoop is a loop in a process of its own.
func (b *bench) bareLoop(client string) side {
	return side{name: "bare " + client, run: func(ctx context.Context, t trial) (times, error) {
		p, err := start(ctx, nil, b.self, roleLoop, "-client", client, "-input", t.input, "-output", t.output,
			"-upstream", t.upstream, "-concurrency", strconv.Itoa(t.concurrency))
		if err != nil {
			return times{}, err
		}
		took, err := p.wait()
		return times{whole: took, processors: p.spent()}, err
	}}
}

// oneShot is `headrace run`, which brings up everything for one file.
func (b *bench) oneShot() side {
	return side{name: "headrace run", ordered: true, run: func(ctx context.Context, t trial) (times, error) {
		p, err := start(ctx, nil, b.headrace, "run", t.input, "-o", t.output, "--data", t.data,
			"--upstream", t.upstream, "--max-concurrency", strconv.Itoa(t.concurrency))
		if err != nil {
			return times{}, err
		}
		took, err := p.wait()
		return times{whole: took, processors: p.spent()}, err
	}}
}

// upAlready is a `headrace dev` that was ready before; its start is not counted.
func (b *bench) upAlready() side {
	return side{name: "headrace dev", ordered: true, run: func(ctx context.Context, t trial) (times, error) {
		s, err := b.startService(ctx, t.data, t.upstream)
		if err != nil {
			return times{}, err
		}
		defer s.kill()
		begun := time.Now()
		file, err := s.upload(ctx, t.input)
		if err != nil {
			return times{}, err
		}
		err = s.complete(ctx, file, t.concurrency, t.output, nil)
		took := time.Since(begun)
		s.kill()
		return times{whole: took, processors: s.spent()}, err
	}}
}
