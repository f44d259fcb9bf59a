package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/headrace/headrace/internal/simulator"
)

func newSim(p program) *cobra.Command {
	var address string
	var o simulator.Options
	c := &cobra.Command{
		Use:   "sim",
		Short: "Run a simulated provider",
		Long: `Run a provider that speaks the OpenAI API, with limits and faults that are real
and answers that are not. GET /stats tells what it has seen.`,
		Example: `  headrace sim
  headrace sim --latency lognormal:200ms,0.5 --rpm 3000 --tpm 1000000
  headrace sim --max-concurrency 8 --error-rate 0.02 --seed 7`,
		Args: wantArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			ctx := c.Context()
			if err := o.Validate(); err != nil {
				return usageError{err}
			}
			running, err := simulator.Start(ctx, address, o, p.logger(slog.LevelWarn))
			if err != nil {
				return err
			}
			_, _ = fmt.Fprintf(p.stdout, "headrace sim is ready · %s\n", running.URL())
			<-ctx.Done()
			return running.Stop(context.WithoutCancel(ctx))
		},
	}
	fs := c.Flags()
	fs.StringVar(&address, "listen", "127.0.0.1:9090", "address to listen on")
	fs.Var(&o.Latency, "latency", "time to answer: 200ms, lognormal:200ms,0.5, uniform:100ms,300ms or exp:200ms")
	fs.Int64Var(&o.RPM, "rpm", 0, "requests granted per minute, 0 for no limit")
	fs.Int64Var(&o.TPM, "tpm", 0, "tokens granted per minute, 0 for no limit")
	fs.Int64Var(&o.MaxConcurrency, "max-concurrency", 0, "calls at the same time, 0 for no limit")
	fs.Float64Var(&o.Faults.Error, "error-rate", 0, "share of calls, 0 to 1, that are answered 500")
	fs.Uint64Var(&o.Seed, "seed", 0, "makes latencies and faults repeatable")
	return c
}
