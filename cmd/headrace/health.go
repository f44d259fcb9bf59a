package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/headrace/headrace/internal/config"
	"github.com/headrace/headrace/internal/openai"
)

// Paths at which headrace tells how it is.
const (
	pathReady = "/readyz"
	pathLive  = "/livez"
)

func newHealth(p program) *cobra.Command {
	var file string
	var live bool
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "health [URL]",
		Short: "Ask a running headrace whether it is ready",
		Long: `Ask a running headrace whether it is ready, for the health checks of containers.

URL is that of an API, or of the telemetry.listen of a worker. Without one, the
process of this machine is asked that has the same configuration, at its
telemetry.listen if there is one, or else at its api.listen. A URL with a path is
asked as it is.

Exit codes: 0 it is ready, 1 it is not or does not answer, 2 wrong usage.`,
		Example: `  headrace health
  headrace health --live
  headrace health http://127.0.0.1:9090`,
		Args: wantArgs(atMostOneURL),
		RunE: func(c *cobra.Command, args []string) error {
			target, err := healthURL(p.env, file, live, args)
			if err != nil {
				return usageError{err}
			}
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			return askHealth(ctx, p.stdout, target)
		},
	}
	c.Flags().StringVar(&file, "config", "", "configuration file of the process (default $"+config.EnvConfig+")")
	c.Flags().BoolVar(&live, "live", false, "ask only whether the process serves, not whether what it needs can be reached")
	c.Flags().DurationVar(&timeout, "timeout", 5*time.Second, "the longest that an answer may take")
	return c
}

func atMostOneURL(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return fmt.Errorf("expected one URL at most, but got %d arguments", len(args))
	}
	return nil
}

// healthURL is what is asked: the argument if there is one, or where a process
// with this configuration listens.
func healthURL(env config.Env, file string, live bool, args []string) (string, error) {
	path := pathReady
	if live {
		path = pathLive
	}
	if len(args) == 0 {
		c, err := config.Load(file, env)
		if err != nil {
			return "", err
		}
		address := cmp.Or(c.Telemetry.Listen, c.API.Listen)
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return "", fmt.Errorf("%q is no host:port such as 127.0.0.1:8080: %w", address, err)
		}
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1" // it listens everywhere, here too
		}
		return "http://" + net.JoinHostPort(host, port) + path, nil
	}
	u, err := url.Parse(args[0])
	if err != nil || !config.ValidURL(args[0]) {
		return "", fmt.Errorf("%q is no URL such as http://127.0.0.1:8080", args[0])
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = path
	}
	return u.String(), nil
}

// askHealth returns nil if the answer is 200, and otherwise what it says.
func askHealth(ctx context.Context, stdout io.Writer, target string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	// A health check asks this machine, never a proxy on the way to others.
	transport := &http.Transport{DisableKeepAlives: true}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("ask %s: no answer in time", target)
		}
		return err
	}
	defer func() { _ = res.Body.Close() }()
	const longest = 4 << 10
	body, _ := io.ReadAll(io.LimitReader(res.Body, longest)) // for people only
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", target, res.Status, healthMessage(body))
	}
	_, _ = fmt.Fprintln(stdout, healthMessage(body))
	return nil
}

// healthMessage is the message of an error in OpenAI's envelope, or the body in
// one line.
func healthMessage(body []byte) string {
	var e openai.Envelope
	if json.Unmarshal(body, &e) == nil && e.Error != nil {
		return e.Error.Message
	}
	return strings.Join(strings.Fields(string(body)), " ")
}
