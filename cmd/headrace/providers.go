package main

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/headrace/headrace/internal/config"
	"github.com/headrace/headrace/internal/dispatch"
	"github.com/headrace/headrace/internal/llm/provider"
	"github.com/headrace/headrace/internal/simulator"
	"github.com/headrace/headrace/internal/version"
)

// providerFlags say where calls go, and what else is configured.
type providerFlags struct {
	settings

	upstream string
}

func (f *providerFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.upstream, "upstream", "", "base URL of the provider (default $OPENAI_BASE_URL, or OpenAI with $OPENAI_API_KEY)")
	f.addFile(fs)
}

// load reads the configuration, and makes providers of it.
func (f *providerFlags) load(p program) (config.Config, config.Providers, error) {
	c, err := f.settings.load(p)
	if err != nil {
		return c, config.Providers{}, err
	}
	providers, err := config.NewProviders(f.upstream, c, p.env)
	if err != nil {
		return c, providers, usageError{err}
	}
	return c, providers, nil
}

// simulatedNote says why calls go to the simulator.
const simulatedNote = "no --upstream, OPENAI_BASE_URL or OPENAI_API_KEY"

// simulatedLatency is that of the simulator when nobody asks for another: what
// a small model's short answers take.
const simulatedLatency = "lognormal:200ms,0.5"

// startSimulator starts a provider of our own and returns its URL.
func (s *stack) startSimulator(ctx context.Context) (string, error) {
	latency, err := simulator.ParseLatency(simulatedLatency)
	if err != nil {
		return "", err
	}
	// An interrupt ends it when its turn comes, and not the calls that it has
	// taken: those have their grace.
	running, err := simulator.Start(context.WithoutCancel(ctx), "127.0.0.1:0", simulator.Options{Latency: latency}, s.logger)
	if err != nil {
		return "", err
	}
	s.onStop(func(ctx context.Context) { _ = running.Stop(ctx) })
	return running.URL(), nil
}

// callTo makes the routes of this process lead to providers.
func (s *stack) callTo(ctx context.Context, providers config.Providers) error {
	for _, upstream := range providers.All {
		if upstream.Simulated {
			url, err := s.startSimulator(ctx)
			if err != nil {
				return err
			}
			upstream.BaseURL = url
		}
		upstream.UserAgent = version.UserAgent()
		p, err := provider.New(upstream.Config)
		if err != nil {
			return fmt.Errorf("provider %s: %w", upstream.Name(), err)
		}
		s.onStop(func(context.Context) { p.Close() })
		s.routes = append(s.routes, dispatch.Route{
			Name: upstream.Name(), Provider: p, Models: upstream.Models, Rewrite: upstream.Rewrite,
		})
	}
	return nil
}
