package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/headrace/headrace/internal/config"
	"github.com/headrace/headrace/internal/logs"
	"github.com/headrace/headrace/internal/version"
)

// program is what a run of the command gets from outside. Tests give it
// buffers and a map.
type program struct {
	args           []string
	env            config.Env
	environ        func() []string // all of the environment, as os.Environ has it; nil for none
	stdin          io.Reader       // nil is os.Stdin
	stdout, stderr io.Writer
}

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1   // something went wrong
	exitUsage       = 2   // the command line is wrong
	exitFailures    = 3   // finished, but some requests failed
	exitInterrupted = 130 // stopped by a signal
)

// exitError ends the program with a code and says nothing more.
type exitError int

// Error implements the error interface.
func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// usageError is a command line that cannot be followed.
type usageError struct{ err error }

// Error implements the error interface.
func (e usageError) Error() string { return e.err.Error() }

// hintedError is an error with the next step.
type hintedError struct {
	err  error
	hint string
}

// Error implements the error interface.
func (e hintedError) Error() string { return e.err.Error() }

// Unwrap returns the error without the hint.
func (e hintedError) Unwrap() error { return e.err }

// execute runs the command and returns its exit code. The first interrupt or
// termination signal ends ctx, the second one the process.
func execute(ctx context.Context, p program) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	root := newRoot(p)
	command, err := root.ExecuteContextC(ctx)
	return report(p, command, err)
}

// report tells the user of an error and returns the exit code.
func report(p program, command *cobra.Command, err error) int {
	var code exitError
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &usage):
		_, _ = fmt.Fprintf(p.stderr, "headrace: %v\nRun '%s --help' for usage.\n", err, command.CommandPath())
		return exitUsage
	}
	_, _ = fmt.Fprintf(p.stderr, "headrace: %v\n", err)
	if hinted, ok := errors.AsType[hintedError](err); ok {
		_, _ = fmt.Fprintf(p.stderr, "%s\n", hinted.hint)
	}
	return exitFailed
}

func newRoot(p program) *cobra.Command {
	root := &cobra.Command{
		Use:   "headrace",
		Short: "Run LLM calls in the background, durably",
		Long: `headrace runs LLM calls in the background, durably.

A JSONL file of requests, or a web app, hands it one call or a million. It makes
the calls through Temporal workflows, with limits and retries, and keeps every
result: killed at any moment, it goes on where it was.`,
		Example: `  headrace run examples/hello.jsonl            one result line per request
  headrace dev                                 the whole service on this machine`,
		Version:      version.String(),
		SilenceUsage: true, SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q", args[0])}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetArgs(p.args)
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(newRun(p), newDev(p), newSim(p), newAPI(p), newWorker(p), newQueue(p), newHealth(p), newConfig(p), newKey(p))
	return root
}

// wantArgs makes a check of a command's arguments whose error is a usageError.
func wantArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// logger writes lines of a level and above to standard error.
func (p program) logger(level slog.Level) *slog.Logger {
	l, err := logs.New(p.stderr, level.String(), logs.Text)
	if err != nil { // both are known
		panic(err)
	}
	return l
}
