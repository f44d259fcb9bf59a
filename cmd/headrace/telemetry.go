package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/api"
	"github.com/headrace/headrace/internal/config"
	"github.com/headrace/headrace/internal/dispatch"
	"github.com/headrace/headrace/internal/health"
	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/logs"
	"github.com/headrace/headrace/internal/metrics"
	"github.com/headrace/headrace/internal/price"
	"github.com/headrace/headrace/internal/runner"
	"github.com/headrace/headrace/internal/trace"
)

// telemetryOptions say how a process shows what it does.
type telemetryOptions struct {
	// listen is the address of /metrics, /livez and /readyz, "" for none. Whoever
	// reaches it needs no key.
	listen string
	prices map[string]price.Table // by provider
	traced bool
	traces trace.Options
}

// envOTLP are the variables by which people who have traces already say where they
// go. OpenTelemetry's SDK reads them.
var envOTLP = []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"}

// newTelemetryOptions are those of a configuration.
func newTelemetryOptions(c config.Telemetry, providers config.Providers, env config.Env) telemetryOptions {
	o := telemetryOptions{
		listen: c.Listen, prices: map[string]price.Table{}, traced: c.Traces.Endpoint != "",
		traces: trace.Options{Endpoint: c.Traces.Endpoint, Protocol: c.Traces.Protocol, Sample: c.Traces.Sample},
	}
	if o.traces.Sample == 0 {
		o.traces.Sample = -1 // none: trace.Options has a default
	}
	for _, u := range providers.All {
		o.prices[u.Name()] = u.Prices
	}
	for _, name := range envOTLP {
		o.traced = o.traced || env(name) != ""
	}
	return o
}

// telemetry shows what a process does.
type telemetry struct {
	metrics *metrics.Metrics
	health  *health.Health
	tracing *trace.Tracing // nil without traces
}

// stack returns one that has started nothing but to show what it does. Lines of the
// log are of a level and above unless the configuration names another one. It is to
// be stopped even if there is an error.
func (p program) stack(ctx context.Context, c config.Config, providers config.Providers, level slog.Level) (*stack, error) {
	s := &stack{config: c}
	var err error
	if s.logger, err = logs.New(p.stderr, cmp.Or(c.Telemetry.Log.Level, level.String()), c.Telemetry.Log.Format); err != nil {
		return s, usageError{err}
	}
	return s, s.show(ctx, newTelemetryOptions(c.Telemetry, providers, p.env))
}

// show starts to show what the stack does. It comes before everything else: what has
// been started already is not shown.
func (s *stack) show(ctx context.Context, o telemetryOptions) error {
	s.telemetry = &telemetry{metrics: metrics.New(metrics.Options{Prices: o.prices}), health: health.New()}
	if o.traced {
		o.traces.Logger = s.logger
		tracing, err := trace.New(ctx, o.traces)
		if err != nil {
			return err
		}
		s.telemetry.tracing = tracing
		s.onStop(func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(ctx, drainTimeout)
			defer cancel()
			_ = tracing.Close(ctx) // what cannot be exported now is lost
		})
	}
	if o.listen == "" {
		return nil
	}
	return s.serveTelemetry(ctx, o.listen)
}

// serveTelemetry serves metrics and probes until everything else has stopped.
func (s *stack) serveTelemetry(ctx context.Context, address string) error {
	l, err := listen(ctx, address, false)
	if err != nil {
		return fmt.Errorf("listen for telemetry: %w", err)
	}
	s.telemetryURL = "http://" + l.Addr().String()
	server := &http.Server{
		Handler:           s.telemetry.health.Handler(s.telemetry.metrics.Handler()),
		ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug),
	}
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.logger.Error("serve telemetry", logs.KeyError, err)
		}
	}()
	s.onStop(func(context.Context) { _ = server.Close() })
	return nil
}

// telemetryNote says where metrics are, for the line that says that all is ready.
func (s *stack) telemetryNote() string {
	if s.telemetryURL == "" {
		return ""
	}
	return " · metrics " + s.telemetryURL + "/metrics"
}

// shown is the telemetry of the stack, which counts for nobody if show was not
// called.
func (s *stack) shown() *telemetry {
	if s.telemetry == nil {
		s.telemetry = &telemetry{metrics: metrics.New(metrics.Options{}), health: health.New()}
	}
	return s.telemetry
}

// client has Temporal's SDK measured and traced.
func (t *telemetry) client(o *client.Options) error {
	o.MetricsHandler = t.metrics.SDK()
	if t.tracing == nil {
		return nil
	}
	follow, err := t.tracing.Interceptor()
	if err != nil {
		return fmt.Errorf("trace Temporal: %w", err)
	}
	o.Interceptors = append(o.Interceptors, interceptor.ClientInterceptor(follow))
	return nil
}

// gate has a gate measured that is about to be made, and logs what becomes of
// providers until stop is called.
func (t *telemetry) gate(o *limit.Options, logger *slog.Logger) (stop func()) {
	o.Leaser = t.metrics.Leaser(o.Leaser)
	o.Changed, stop = tellOfProviders(logger)
	return stop
}

// calls has calls measured and traced.
func (t *telemetry) calls(d *dispatch.Dispatcher) {
	t.metrics.Gate(d.Gate())
	d.Observe(t.metrics.Calls())
	if t.tracing != nil {
		d.Observe(t.tracing.Calls())
	}
}

// runner has tasks measured and traced.
func (t *telemetry) runner(o *runner.Options) {
	o.Ended, o.Retried = t.metrics.TaskEnded, t.metrics.Activities().Retried
	if t.tracing != nil {
		o.Resume = t.tracing.Resume
	}
}

// activities has activities measured.
func (t *telemetry) activities(a *activities.Activities) { a.Observer = t.metrics.Activities() }

// api has requests measured and traced.
func (t *telemetry) api(o *api.Options) {
	o.Metrics = t.metrics.Handler()
	o.Health, o.Accepted, o.Observers = t.health, t.metrics.Accepted, []api.Observer{t.metrics.Requests()}
	t.metrics.Followers(o.Logs.Followers)
	if t.tracing != nil {
		o.Observers, o.Tracer = append(o.Observers, t.tracing.Requests()), t.tracing
	}
}
