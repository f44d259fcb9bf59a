package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// clusterFlags say where the parts are that several processes share.
type clusterFlags struct{ temporal, namespace, store string }

func (f *clusterFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.temporal, "temporal", fmt.Sprintf("127.0.0.1:%d", defaultTemporalPort), "address of the Temporal server")
	fs.StringVar(&f.namespace, "namespace", defaultNamespace, "Temporal namespace")
	fs.StringVar(&f.store, "store", storeDir(defaultData), "folder that all processes share")
}

// join connects a stack to what the flags name.
func (f *clusterFlags) join(ctx context.Context, p program) (*stack, error) {
	s := &stack{logger: p.logger(slog.LevelWarn)}
	var err error
	if s.outgoing, err = newOutgoing(p.env); err != nil {
		return s, err
	}
	if err := s.connect(ctx, f.temporal, f.namespace); err != nil {
		return s, hintedError{err, "Start Temporal first, or say where it is with --temporal host:port."}
	}
	return s, s.openStore(ctx, f.store)
}

func newAPI(p program) *cobra.Command {
	var f clusterFlags
	var to providerFlags
	var address string
	var insecure bool
	var maxBody int64
	c := &cobra.Command{
		Use:     "api",
		Short:   "Run the HTTP API alone, for a cluster",
		Example: `  headrace api --temporal temporal:7233 --store /mnt/headrace`,
		Args:    wantArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			ctx := c.Context()
			if err := errors.Join(requireLoopback(address, insecure), checkMaxBody(maxBody)); err != nil {
				return err
			}
			providers, err := to.providers(p.env)
			if err != nil {
				return err
			}
			listener, err := listen(ctx, address, false)
			if err != nil {
				return fmt.Errorf("listen: %w", err)
			}
			s, err := f.join(ctx, p)
			defer s.stop(context.WithoutCancel(ctx))
			s.onStop(func(context.Context) { _ = listener.Close() })
			if err != nil {
				return err
			}
			s.maxBody = maxBody
			if !providers.Simulated() { // a simulator of its own would be of no use to anybody
				if err := s.callTo(ctx, providers); err != nil {
					return err
				}
			}
			_, _ = fmt.Fprintf(p.stdout, "headrace api is ready · API %s/v1\n", s.serve(ctx, listener))
			<-ctx.Done()
			return nil
		},
	}
	f.add(c.Flags())
	addMaxBody(c.Flags(), &maxBody)
	c.Flags().StringVar(&address, "listen", defaultListen, "address of the API")
	to.add(c.Flags())
	c.Flags().BoolVar(&insecure, "insecure", false, "allow --listen on an address that others can reach, without keys")
	return c
}

// workerGrace is how long calls in flight may go on when a worker stops.
const workerGrace = 30 * time.Second

func newWorker(p program) *cobra.Command {
	var f clusterFlags
	var to providerFlags
	var concurrency int
	c := &cobra.Command{
		Use:     "worker",
		Short:   "Run a worker alone, for a cluster",
		Example: `  OPENAI_API_KEY=sk-... headrace worker --temporal temporal:7233 --store /mnt/headrace`,
		Args:    wantArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			ctx := c.Context()
			if err := checkConcurrency(concurrency); err != nil {
				return err
			}
			providers, err := to.providers(p.env)
			if err != nil {
				return err
			}
			s, err := f.join(ctx, p)
			defer s.stop(context.WithoutCancel(ctx))
			if err != nil {
				return err
			}
			if err := s.startWorker(ctx, providers, workerGrace, concurrency); err != nil {
				return err
			}
			_, _ = fmt.Fprintf(p.stdout, "headrace worker is ready · calls go to %s\n", providers.Name())
			<-ctx.Done()
			return nil
		},
	}
	f.add(c.Flags())
	addConcurrency(c.Flags(), &concurrency)
	to.add(c.Flags())
	return c
}
