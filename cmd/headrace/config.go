package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/headrace/headrace/internal/config"
)

func newConfig(p program) *cobra.Command {
	var f providerFlags
	var explain bool
	c := &cobra.Command{
		Use:   "config",
		Short: "Check the configuration and print the one that is in effect",
		Long: `Print the configuration that the file, the environment and flags come to, with
where each value is from unless it is a default. Secrets are masked. Whatever is
wrong is told, and the exit code is 2.`,
		Example: `  headrace config --config headrace.yaml
  HEADRACE_API_LISTEN=127.0.0.1:9000 headrace config
  headrace config --explain > headrace.yaml     every field, with its default and its variable`,
		Args: wantArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if explain {
				return config.Explain(p.stdout)
			}
			cfg, _, err := f.load(p)
			if err != nil {
				return err
			}
			_, outgoingErr := newOutgoing(cfg, p.env)
			_, ringErr := keyRing(cfg)
			_, sealErr := sealKeys(cfg)
			if err := errors.Join(outgoingErr, ringErr, sealErr); err != nil {
				return err
			}
			if err := cfg.Print(p.stdout); err != nil {
				return fmt.Errorf("print configuration: %w", err)
			}
			return nil
		},
	}
	f.add(c.Flags())
	f.addCluster(c.Flags())
	f.addListen(c.Flags(), "address of the API")
	f.addConcurrency(c.Flags())
	c.Flags().BoolVar(&explain, "explain", false, "print every field there is, what it is for and its variable")
	return c
}
