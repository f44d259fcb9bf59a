package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// measure is one thing to find out. It returns rows of the table.
type measure struct {
	name string
	run  func(*bench, context.Context) ([]row, error)
}

func measures() []measure {
	return []measure{
		{"calls", (*bench).calls},
		{"rate", (*bench).rate},
		{"memory", (*bench).memory},
		{"plan", (*bench).plan},
		{"ready", (*bench).ready},
		{"crash", (*bench).crash},
		{"cancel", (*bench).cancel},
		{"accept", (*bench).accept},
		{"drain", (*bench).drain},
		{"idle", (*bench).idle},
		{"steady", (*bench).steady},
		{"stalled", (*bench).stalled},
		{"taskcrash", (*bench).taskCrash},
		{"peak", (*bench).peak},
		{"share", (*bench).share},
		{"retryafter", (*bench).retryAfter},
		{"outage", (*bench).outage},
		{"interactive", (*bench).interactive},
		{"pause", (*bench).pause},
		{"gate", (*bench).gate},
		{"scale", (*bench).scale},
	}
}

// bench is one run of this program.
type bench struct {
	dir      string // for everything; removed at the end
	self     string // this program
	headrace string // the program that is measured
	load     string // of the machine, before the first measure
	quick    bool
	repeat   int
	log      io.Writer
	inputs   map[string]string // paths by name
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := execute(ctx, os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		_, _ = fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// Roles of child processes.
const (
	roleLoop = "loop"
	rolePlan = "plan"
)

func execute(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case roleLoop:
			return loop(ctx, args[1:], os.Stderr)
		case rolePlan:
			return planFile(ctx, args[1:], os.Stdout)
		}
	}
	b := &bench{log: os.Stderr, inputs: map[string]string{}}
	var only, dir string
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.StringVar(&only, "only", "", "measures to take, separated by commas: "+names())
	fs.BoolVar(&b.quick, "quick", false, "small sizes and one repetition, to see that it works")
	fs.IntVar(&b.repeat, "repeat", 0, "repetitions of each side of a comparison (default 3, or 1 with -quick)")
	fs.StringVar(&dir, "dir", "", "folder for data (default the system's temporary folder)")
	fs.StringVar(&b.headrace, "headrace", "", "program to measure (default built from this module)")
	if err := fs.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(only)
	if err != nil {
		return err
	}
	if b.repeat == 0 {
		b.repeat = b.size(3, 1)
	}
	if err := b.prepare(ctx, dir); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(b.dir) }()
	b.load = loadAverage()
	return b.take(ctx, chosen, os.Stdout)
}

// names lists the measures.
func names() string {
	var all []string
	for _, m := range measures() {
		all = append(all, m.name)
	}
	return strings.Join(all, ",")
}

func choose(only string) ([]measure, error) {
	if only == "" {
		return measures(), nil
	}
	var chosen []measure
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(measures(), func(m measure) bool { return m.name == name })
		if i < 0 {
			return nil, fmt.Errorf("-only %q: expected some of %s", name, names())
		}
		chosen = append(chosen, measures()[i])
	}
	return chosen, nil
}

// prepare makes the folder and the program.
func (b *bench) prepare(ctx context.Context, dir string) error {
	var err error
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp(dir, "headrace-bench"); err != nil {
		return err
	}
	if b.headrace != "" {
		b.headrace, err = filepath.Abs(b.headrace)
		return err
	}
	b.say("building headrace")
	b.headrace = filepath.Join(b.dir, "headrace")
	// As it is released: without debug information, which also takes half of the
	// time to link.
	build := exec.CommandContext(ctx, "go", "build", "-ldflags", "-s -w", "-o", b.headrace, "github.com/headrace/headrace/cmd/headrace")
	build.Stderr = b.log
	if err := build.Run(); err != nil {
		_ = os.RemoveAll(b.dir)
		return fmt.Errorf("build headrace: %w", err)
	}
	return nil
}

// take takes the measures and prints the table. A measure that fails has its
// row too, and makes the whole fail.
func (b *bench) take(ctx context.Context, chosen []measure, out io.Writer) error {
	var rows []row
	var failed error
	for _, m := range chosen {
		begun := time.Now()
		got, err := m.run(b, ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", m.name, err))
			got = []row{{measure: m.name, verdict: failedVerdict}}
			b.say("%s: %v", m.name, err)
		}
		b.say("%s: taken in %s", m.name, time.Since(begun).Round(time.Second/10))
		rows = append(rows, got...)
	}
	writeTable(out, facts(ctx, b), rows)
	return failed
}

func (b *bench) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.log, format+"\n", args...)
}

// size is full, or quick in a quick run.
func (b *bench) size(full, quick int) int {
	if b.quick {
		return quick
	}
	return full
}

// folder makes a new folder and returns it with what removes it.
func (b *bench) folder() (string, func(), error) {
	dir, err := os.MkdirTemp(b.dir, "data")
	return dir, func() { _ = os.RemoveAll(dir) }, err
}
