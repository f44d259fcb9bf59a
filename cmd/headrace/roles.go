package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/headrace/headrace/internal/config"
	"github.com/headrace/headrace/internal/temporal"
)

// join connects a stack to the Temporal and the store that several processes share.
func join(ctx context.Context, p program, c config.Config, providers config.Providers) (*stack, error) {
	s, err := p.stack(ctx, c, providers, slog.LevelInfo)
	if err != nil {
		return s, err
	}
	if s.outgoing, err = newOutgoing(c, p.env); err != nil {
		return s, err
	}
	t := c.Temporal
	err = s.connect(ctx, temporal.Options{
		Address: t.Address, Namespace: t.Namespace, Profile: t.Profile, APIKey: t.APIKey.String, TLS: temporal.TLS(t.TLS),
		Env: temporal.Environment{Lookup: p.env, All: p.environ},
	})
	if err != nil {
		return s, err
	}
	return s, s.openStore(ctx, c.Store.URL)
}

func newAPI(p program) *cobra.Command {
	var f providerFlags
	c := &cobra.Command{
		Use:     "api",
		Short:   "Run the HTTP API alone, for a cluster",
		Example: `  headrace api --temporal temporal:7233 --store /mnt/headrace`,
		Args:    wantArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			ctx := c.Context()
			cfg, providers, err := f.load(p)
			if err != nil {
				return err
			}
			keys, err := keyRing(cfg)
			if err != nil {
				return err
			}
			listener, err := listen(ctx, cfg.API.Listen, false)
			if err != nil {
				return fmt.Errorf("listen: %w", err)
			}
			s, err := join(ctx, p, cfg, providers)
			defer s.stop(context.WithoutCancel(ctx))
			s.onStop(func(context.Context) { _ = listener.Close() })
			if err != nil {
				return err
			}
			s.keys = keys
			if !providers.Simulated() { // a simulator of its own would be of no use to anybody
				if err := s.callTo(ctx, providers); err != nil {
					return err
				}
			}
			s.drainFor = time.Duration(cfg.API.DrainFor)
			_, _ = fmt.Fprintf(p.stdout, "headrace api is ready · API %s/v1%s\n", s.serve(ctx, listener), s.telemetryNote())
			<-ctx.Done()
			return nil
		},
	}
	f.add(c.Flags())
	f.addCluster(c.Flags())
	f.addListen(c.Flags(), "address of the API")
	return c
}

func newWorker(p program) *cobra.Command {
	var f providerFlags
	c := &cobra.Command{
		Use:     "worker",
		Short:   "Run a worker alone, for a cluster",
		Example: `  OPENAI_API_KEY=sk-... headrace worker --temporal temporal:7233 --store /mnt/headrace`,
		Args:    wantArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			ctx := c.Context()
			cfg, providers, err := f.load(p)
			if err != nil {
				return err
			}
			s, err := join(ctx, p, cfg, providers)
			defer s.stop(context.WithoutCancel(ctx))
			if err != nil {
				return err
			}
			if err := s.startWorker(ctx, providers, time.Duration(cfg.Worker.StopGrace)); err != nil {
				return err
			}
			_, _ = fmt.Fprintf(p.stdout, "headrace worker is ready · calls go to %s%s\n", providers.Name(), s.telemetryNote())
			<-ctx.Done()
			return nil
		},
	}
	f.add(c.Flags())
	f.addCluster(c.Flags())
	f.addConcurrency(c.Flags())
	return c
}
