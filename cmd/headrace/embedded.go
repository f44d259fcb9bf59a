//go:build !slim

package main

import (
	"context"

	"github.com/headrace/headrace/internal/devserver"
	"github.com/headrace/headrace/internal/temporal"
)

// withoutEmbedded is for the help of commands that need the embedded Temporal:
// what there is to say in a build without it.
const withoutEmbedded = ""

// startTemporal starts the embedded Temporal, connects to it and returns the URL
// of its Web UI, if that was asked for.
func (s *stack) startTemporal(ctx context.Context, e embedded) (string, error) {
	server, err := devserver.Start(ctx, devserver.Options{
		Dir: e.dir, UI: e.ui, FrontendPort: e.temporalPort, UIPort: e.uiPort, Codec: e.codec, Logger: s.logger,
	})
	if err != nil {
		return "", err
	}
	s.onStop(func(context.Context) { server.Stop() })
	return server.UIURL(), s.connect(ctx, temporal.Options{Address: server.Address()})
}
