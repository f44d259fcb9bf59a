package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// Defaults of flags.
const (
	defaultListen       = "127.0.0.1:8080"
	defaultData         = "./headrace-data"
	defaultTemporalPort = 7233
	defaultUIPort       = 8233
)

type devFlags struct {
	providerFlags

	data                 string
	temporalPort, uiPort int
}

func newDev(p program) *cobra.Command {
	var f devFlags
	c := &cobra.Command{
		Use:   "dev",
		Short: "Run the whole service on this machine",
		Long: `Run the API, a worker, an embedded Temporal and its Web UI in one process.

Everything is kept in one folder and survives restarts. With neither --upstream
nor OPENAI_BASE_URL nor OPENAI_API_KEY, calls go to a simulated provider.` + withoutEmbedded,
		Example: `  headrace dev
  headrace dev --upstream http://localhost:11434/v1
  headrace dev --config headrace.yaml
  OPENAI_API_KEY=sk-... headrace dev --listen 127.0.0.1:9000 --data /var/lib/headrace`,
		Args: wantArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return dev(c, p, &f) },
	}
	fs := c.Flags()
	f.addListen(fs, "address of the API; another port if the default is taken")
	fs.StringVar(&f.data, "data", defaultData, "folder for everything that is kept")
	f.add(fs)
	fs.IntVar(&f.temporalPort, "temporal-port", defaultTemporalPort, "port of the embedded Temporal, 0 for any")
	fs.IntVar(&f.uiPort, "ui-port", defaultUIPort, "port of the Temporal Web UI, 0 for any")
	f.addConcurrency(fs)
	return c
}

// devGrace is how long calls in flight may go on when dev stops.
const devGrace = 5 * time.Second

func dev(c *cobra.Command, p program, f *devFlags) error {
	ctx := c.Context()
	cfg, providers, err := f.load(p)
	if err != nil {
		return err
	}
	keys, err := keyRing(cfg)
	if err != nil {
		return err
	}
	out, err := newOutgoing(cfg, p.env)
	if err != nil {
		return err
	}
	told := c.Flags().Changed
	listener, err := listen(ctx, cfg.API.Listen, cfg.From("api.listen") == "")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	s, err := p.stack(ctx, cfg, providers, slog.LevelWarn)
	defer s.stop(context.WithoutCancel(ctx))
	s.onStop(func(context.Context) { _ = listener.Close() })
	if err != nil {
		return err
	}
	s.outgoing, s.keys = out, keys
	uiURL, err := s.startTemporal(ctx, embedded{
		dir: temporalDir(f.data), ui: true, codec: codecOf(cfg, listener.Addr()),
		temporalPort: freePort(ctx, f.temporalPort, !told("temporal-port")),
		uiPort:       freePort(ctx, f.uiPort, !told("ui-port")),
	})
	if err != nil {
		return err
	}
	s.uiOrigins = originsOf(uiURL)
	if err := out.keepSecret(f.data); err != nil {
		return err
	}
	if err := s.openStore(ctx, storeDir(f.data)); err != nil {
		return err
	}
	if err := s.startWorker(ctx, providers, devGrace); err != nil {
		return err
	}
	url := s.serve(ctx, listener)
	note := []string{"headrace is ready", "API " + url + "/v1", "Temporal UI " + uiURL, "data " + f.data}
	note = append(note, "calls go to "+providers.Name())
	if providers.Simulated() {
		note[len(note)-1] += " (" + simulatedNote + ")"
	}
	_, _ = fmt.Fprintln(p.stdout, strings.Join(note, " · ")+s.telemetryNote())
	<-ctx.Done()
	return nil
}
