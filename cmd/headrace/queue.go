package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headrace/headrace/internal/client"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/queue"
)

// queueCommand is what the commands of queues share.
type queueCommand struct {
	program program
	remote  remoteFlags
}

func newQueue(p program) *cobra.Command {
	q := &queueCommand{program: p}
	c := &cobra.Command{
		Use:   "queue",
		Short: "Look at queues and set their limits",
		Long: `Look at queues and set their limits, on a running headrace.

A queue bounds the calls of the tasks and batches that name it, over all workers
together: how many are in flight, how many begin a minute, how many tokens they
take. What names no queue is in the queue "default".`,
		Example: `  headrace queue ls
  headrace queue set nightly --concurrency 20 --rpm 3000 --tpm 1000000
  headrace queue pause nightly`,
		Args: wantArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	q.remote.add(c.PersistentFlags())
	c.AddCommand(q.list(), q.get(), q.set(),
		q.switchTo("pause", true, "Let no call of a queue begin; those in flight go on"),
		q.switchTo("resume", false, "Let the calls of a queue begin again"))
	return c
}

// asking makes the body of a command that asks the server. Errors get their next
// step here.
func (q *queueCommand) asking(ask func(ctx context.Context, c *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(command *cobra.Command, args []string) error {
		ctx := command.Context()
		c, err := q.remote.client(q.program)
		if err == nil {
			err = ask(ctx, c, args)
		}
		if notFound(err) {
			err = hintedError{err, "'headrace queue ls' shows what there is; 'headrace queue set NAME --concurrency N' makes a queue."}
		}
		return interruptedOr(ctx, err)
	}
}

// notFound reports whether there is no queue of the name that was asked for; a
// task that is not found is another matter.
func notFound(err error) bool {
	e, ok := errors.AsType[*openai.Error](err)
	return ok && e.Status == http.StatusNotFound && e.Param != nil && *e.Param == "name"
}

// oneQueue wants the name of a queue.
func oneQueue(_ *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return fmt.Errorf("expected the name of one queue, but got %d arguments", len(args))
	}
	return nil
}

func (q *queueCommand) list() *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Short:   "List the queues with their limits and how they stand",
		Example: `  headrace queue ls`,
		Args:    wantArgs(cobra.NoArgs),
		RunE: q.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			list, err := c.Queues(ctx)
			switch {
			case err != nil:
				return hintServer(err)
			case q.remote.json:
				return writeJSON(q.program.stdout, list)
			}
			return writeQueues(q.program, list.Data)
		}),
	}
}

func (q *queueCommand) get() *cobra.Command {
	var task string
	c := &cobra.Command{
		Use:   "get NAME",
		Short: "Show a queue and the workers that share its limits",
		Example: `  headrace queue get default
  headrace queue get nightly --task task_...`,
		Args: wantArgs(oneQueue),
		RunE: q.asking(func(ctx context.Context, c *client.Client, args []string) error {
			o, err := c.Queue(ctx, args[0], task)
			return q.show(o, err)
		}),
	}
	c.Flags().StringVar(&task, "task", "", "id of a task whose place in the queue is shown")
	return c
}

func (q *queueCommand) set() *cobra.Command {
	settings, weights := map[string]any{}, weightsFlag{}
	c := &cobra.Command{
		Use:   "set NAME",
		Short: "Set limits of a queue, and leave its other settings as they are",
		Long: `Set limits of a queue, and leave its other settings as they are.

The limits hold over all workers together. They are in force at once, also for
what runs already; calls in flight are not cut off.`,
		Example: `  headrace queue set nightly --concurrency 20 --rpm 3000 --tpm 1000000
  headrace queue set nightly --rpm none
  headrace queue set mails --concurrency 1                  one call after another
  headrace queue set shared --weight web=3 --weight reports=1`,
		Args: wantArgs(oneQueue),
		RunE: q.asking(func(ctx context.Context, c *client.Client, args []string) error {
			if len(settings) == 0 && len(weights) == 0 {
				return usageError{errors.New("expected a limit to set: --concurrency, --rpm, --tpm or --weight")}
			}
			if len(weights) > 0 {
				now, err := c.Queue(ctx, args[0], "")
				if err != nil && !notFound(err) {
					return hintServer(err)
				}
				settings["weights"] = weights.added(now.Weights)
			}
			o, err := c.ChangeQueue(ctx, args[0], settings)
			return q.show(o, err)
		}),
	}
	fs := c.Flags()
	fs.Var(limitFlag{settings, "concurrency"}, "concurrency", "most calls in flight at once; 1 makes the queue strictly sequential")
	fs.Var(limitFlag{settings, "rpm"}, "rpm", "most calls that begin in a minute")
	fs.Var(limitFlag{settings, "tpm"}, "tpm", "most tokens in a minute")
	fs.Var(weights, "weight", "share of a project where several wait (default 1); may be repeated")
	return c
}

// switchTo is a command that pauses a queue or resumes it.
func (q *queueCommand) switchTo(name string, paused bool, short string) *cobra.Command {
	return &cobra.Command{
		Use: name + " NAME", Short: short, Example: "  headrace queue " + name + " nightly", Args: wantArgs(oneQueue),
		RunE: q.asking(func(ctx context.Context, c *client.Client, args []string) error {
			o, err := c.ChangeQueue(ctx, args[0], map[string]any{"paused": paused})
			return q.show(o, err)
		}),
	}
}

// show prints a queue that the server has answered with.
func (q *queueCommand) show(o queue.Object, err error) error {
	switch {
	case err != nil:
		return hintServer(err)
	case q.remote.json:
		return writeJSON(q.program.stdout, o)
	}
	return writeQueue(q.program, o)
}

// none takes a limit away, as 0 does.
const none = "none"

// limitFlag is a limit among settings: a number, or none.
type limitFlag struct {
	settings map[string]any
	name     string
}

// Set implements pflag.Value.
func (f limitFlag) Set(s string) error {
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case s == none, err == nil && n == 0:
		f.settings[f.name] = nil
	case err != nil || n < 0:
		return fmt.Errorf("expected a number, or %q for no limit", none)
	default:
		f.settings[f.name] = n
	}
	return nil
}

// String implements pflag.Value.
func (f limitFlag) String() string { return "" }

// Type implements pflag.Value. It stands in the help.
func (f limitFlag) Type() string { return "N|" + none }

// weightsFlag is the weights of some projects; 0 takes one away.
type weightsFlag map[string]int64

// Set implements pflag.Value.
func (f weightsFlag) Set(s string) error {
	project, weight, found := strings.Cut(s, "=")
	n, err := strconv.ParseInt(weight, 10, 64)
	if weight == none {
		n, err = 0, nil
	}
	if !found || project == "" || err != nil || n < 0 || n > queue.WeightLimit {
		return fmt.Errorf("expected project=N with a number up to %d, or project=%s", queue.WeightLimit, none)
	}
	f[project] = n
	return nil
}

// String implements pflag.Value.
func (f weightsFlag) String() string { return "" }

// Type implements pflag.Value. It stands in the help.
func (f weightsFlag) Type() string { return "project=N" }

// added are the weights there are, changed by those of the flag.
func (f weightsFlag) added(weights map[string]int64) map[string]int64 {
	all := maps.Clone(weights)
	if all == nil {
		all = map[string]int64{}
	}
	maps.Copy(all, f)
	maps.DeleteFunc(all, func(_ string, n int64) bool { return n == 0 })
	return all
}
