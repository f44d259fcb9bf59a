package config

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Bounds of what may be asked of one process.
const (
	mostTaskCalls  = 100_000
	smallestBody   = 1 << 10
	largestMaxBody = 1 << 30
)

// check looks at every value that can be judged by itself.
func (c *Config) check() error {
	return errors.Join(
		c.address("api.listen", c.API.Listen), c.address("telemetry.listen", c.Telemetry.Listen),
		c.between("api.max_body", c.API.MaxBody, smallestBody, largestMaxBody, " bytes"),
		c.between("worker.task_concurrency", int64(c.Worker.TaskConcurrency), 1, mostTaskCalls, ""),
		c.both("temporal.tls.cert_file", c.Temporal.TLS.CertFile, "temporal.tls.key_file", c.Temporal.TLS.KeyFile),
		c.oneOf("telemetry.log.level", c.Telemetry.Log.Level, "debug", "info", "warn", "error"),
		c.oneOf("telemetry.log.format", c.Telemetry.Log.Format, "text", "json"),
		c.oneOf("telemetry.traces.protocol", c.Telemetry.Traces.Protocol, "http", "grpc"),
		c.url("telemetry.traces.endpoint", c.Telemetry.Traces.Endpoint, "http://127.0.0.1:4318"),
		c.share("telemetry.traces.sample", c.Telemetry.Traces.Sample),
		c.origin(c.Encryption.CodecOrigins),
	)
}

// address checks where something listens; "" is nowhere.
func (c *Config) address(path, value string) error {
	_, port, err := net.SplitHostPort(value)
	if _, numeric := strconv.ParseUint(port, 10, 16); value == "" || err == nil && numeric == nil {
		return nil
	}
	return fmt.Errorf("%s %q: expected host:port such as 127.0.0.1:8080", c.Where(path), value)
}

func (c *Config) between(path string, value, least, most int64, unit string) error {
	if value >= least && value <= most {
		return nil
	}
	return fmt.Errorf("%s %d: expected %d to %d%s", c.Where(path), value, least, most, unit)
}

func (c *Config) both(one, first, other, second string) error {
	if (first == "") == (second == "") {
		return nil
	}
	return fmt.Errorf("%s and %s belong together: give both, or none", c.Where(one), c.Where(other))
}

func (c *Config) oneOf(path, value string, all ...string) error {
	if value == "" || slices.Contains(all, value) {
		return nil
	}
	return fmt.Errorf("%s %q: expected one of %s", c.Where(path), value, strings.Join(all, ", "))
}

func (c *Config) url(path, value, example string) error {
	if value == "" || ValidURL(value) {
		return nil
	}
	return fmt.Errorf("%s %q is no URL such as %s", c.Where(path), value, example)
}

func (c *Config) share(path string, value float64) error {
	if value >= 0 && value <= 1 {
		return nil
	}
	return fmt.Errorf("%s %v: expected a share from 0 to 1", c.Where(path), value)
}

// origin checks origins of pages: a scheme and a host, no path.
func (c *Config) origin(all []string) error {
	for _, origin := range all {
		if !ValidURL(origin) || strings.Count(origin, "/") != 2 {
			return fmt.Errorf("%s: %q is no origin such as http://127.0.0.1:8233", c.Where("encryption.codec_origins"), origin)
		}
	}
	return nil
}
