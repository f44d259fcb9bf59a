package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/client"
	"github.com/headrace/headrace/internal/config"
	"github.com/headrace/headrace/internal/openai"
)

type runFlags struct {
	providerFlags

	output, errors, endpoint, data, server string

	maxConcurrency int
	fresh          bool
}

func newRun(p program) *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run INPUT.jsonl",
		Short: "Run a file of requests and write one result line for each, in order",
		Long: `Run a file of requests and write one result line for each, in input order.

Each line of INPUT is a request in OpenAI's batch format. Interrupted or killed,
and run again, the same command goes on where it was and makes only the calls
that are missing. With neither --upstream nor OPENAI_BASE_URL nor OPENAI_API_KEY,
calls go to a simulated provider.

Exit codes: 0 all requests succeeded, 3 some failed, 1 error, 2 wrong usage,
130 interrupted.` + withoutEmbedded,
		Example: `  headrace run examples/hello.jsonl
  OPENAI_API_KEY=sk-... headrace run prompts.jsonl -o answers.jsonl --max-concurrency 200
  headrace run prompts.jsonl -o answers.jsonl --errors failed.jsonl --upstream http://localhost:8000/v1
  headrace run prompts.jsonl -o answers.jsonl --server http://127.0.0.1:8080`,
		Args: wantArgs(oneInput),
		RunE: func(c *cobra.Command, args []string) error { return run(c.Context(), p, f, args[0]) },
	}
	fs := c.Flags()
	fs.StringVarP(&f.output, "output", "o", "", "file for the result lines (default standard output)")
	fs.StringVar(&f.errors, "errors", "", "file for the lines of failed requests (default among the others)")
	fs.IntVar(&f.maxConcurrency, "max-concurrency", batch.DefaultMaxConcurrency, "most calls in flight at once")
	fs.StringVar(&f.endpoint, "endpoint", "", "endpoint that the requests are for (default the first line's url)")
	f.add(fs)
	fs.StringVar(&f.data, "data", defaultData, "folder for everything that is kept")
	fs.StringVar(&f.server, "server", "", "URL of a running headrace to use, instead of starting one; its key is $"+envKey)
	fs.BoolVar(&f.fresh, "new", false, "start anew, even if an earlier run of the same file can be gone on with")
	return c
}

func oneInput(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("expected one file of requests, but got %d arguments", len(args))
	}
	return nil
}

func run(ctx context.Context, p program, f runFlags, path string) error {
	begun := time.Now()
	cfg, providers, err := f.check(p)
	if err != nil {
		return err
	}
	in, err := openInput(path, f.endpoint)
	if err != nil {
		return err
	}
	defer in.close()
	out, err := openOutputs(p.stdout, path, f.output, f.errors)
	if err != nil {
		return err
	}
	defer out.discard()

	s := &stack{logger: p.logger(slog.LevelError), config: cfg}
	if s.outgoing, err = newOutgoing(cfg, p.env); err != nil {
		return err
	}
	s.outgoing.WebhookURL = "" // whoever runs a file sees its end
	// Stopping the worker keeps what calls in flight have brought; it must
	// happen, and soon, after an interrupt too.
	defer s.stop(context.WithoutCancel(ctx))
	var to *client.Client
	if f.server == "" {
		server, err := s.startAll(ctx, f.data, providers)
		if err != nil {
			return interruptedOr(ctx, err)
		}
		to = client.New(server)
	} else {
		key, err := shownKey(p.env)
		if err != nil {
			return err
		}
		to = client.New(f.server).WithKey(key)
	}
	j := &job{program: p, flags: f, input: in, outputs: out, client: to, begun: begun}
	j.key = in.key(providers.Name(), f.server)
	if f.server == "" && providers.Simulated() {
		j.say("No --upstream, OPENAI_BASE_URL or OPENAI_API_KEY: calls go to the simulator.")
	}
	return interruptedOr(ctx, hintKey(j.run(ctx, func() { s.stop(context.WithoutCancel(ctx)) })))
}

// interruptedOr is err, unless it is only that ctx has ended.
func interruptedOr(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return exitError(exitInterrupted)
	}
	return err
}

// check looks at what can be looked at before anything is started.
func (f *runFlags) check(p program) (config.Config, config.Providers, error) {
	cfg, providers, err := f.load(p)
	switch {
	case err != nil:
		return cfg, providers, err
	case f.server != "" && (f.upstream != "" || f.file != ""):
		return cfg, providers, usageError{fmt.Errorf(
			"--server and --upstream or --config exclude each other: a running server has its own providers")}
	case f.server != "" && !config.ValidURL(f.server):
		return cfg, providers, usageError{fmt.Errorf("--server %q is no URL such as http://127.0.0.1:8080", f.server)}
	case f.maxConcurrency < 1 || f.maxConcurrency > batch.MaxConcurrencyLimit:
		return cfg, providers, usageError{fmt.Errorf("--max-concurrency %d: expected 1 to %d", f.maxConcurrency, batch.MaxConcurrencyLimit)}
	case f.endpoint != "" && !openai.Endpoint(f.endpoint).Valid():
		return cfg, providers, usageError{fmt.Errorf("--endpoint %q: expected one of %v", f.endpoint, openai.Endpoints())}
	}
	return cfg, providers, nil
}

// startAll starts everything that a run needs, on free ports of the loopback
// interface, and returns the URL of the API.
func (s *stack) startAll(ctx context.Context, data string, providers config.Providers) (string, error) {
	listener, err := listen(ctx, "127.0.0.1:0", false)
	if err != nil {
		return "", fmt.Errorf("listen: %w", err)
	}
	s.onStop(func(context.Context) { _ = listener.Close() })
	if _, err := s.startTemporal(ctx, embedded{dir: temporalDir(data)}); err != nil {
		return "", err
	}
	if err := s.outgoing.keepSecret(data); err != nil {
		return "", err
	}
	if err := s.openStore(ctx, storeDir(data)); err != nil {
		return "", err
	}
	// No grace: an interrupted run stops within a second, and the calls that
	// it cuts off are made again when it goes on.
	if err := s.startWorker(ctx, providers, 0); err != nil {
		return "", err
	}
	return s.serve(ctx, listener), nil
}
