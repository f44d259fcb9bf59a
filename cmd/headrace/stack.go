package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/api"
	"github.com/headrace/headrace/internal/apikey"
	"github.com/headrace/headrace/internal/codec"
	"github.com/headrace/headrace/internal/config"
	"github.com/headrace/headrace/internal/dispatch"
	"github.com/headrace/headrace/internal/health"
	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/live"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/nudge"
	"github.com/headrace/headrace/internal/queue"
	"github.com/headrace/headrace/internal/runner"
	"github.com/headrace/headrace/internal/seal"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/streamlog"
	"github.com/headrace/headrace/internal/temporal"
	"github.com/headrace/headrace/worker"
)

// stack is what one process runs: all of headrace, or some roles of it. Parts
// are started in order and stopped in the opposite one.
type stack struct {
	logger   *slog.Logger
	config   config.Config
	outgoing outgoing
	stops    []func(context.Context)

	keys      *apikey.Ring // of the API; nil lets everybody in
	sealing   *seal.Keys   // nil seals nothing
	uiOrigins []string     // of the Web UI that is part of this process
	temporal  client.Client
	namespace string // of temporal
	store     *store.Store
	routes    []dispatch.Route // none unless callTo was called
	hub       *live.Hub        // nil unless startWorker was called
	runner    *runner.Runner   // nil unless startWorker was called
	logs      *streamlog.Logs  // nil unless startWorker or serve was called

	drainFor time.Duration // how long the API answers on when it is to stop

	telemetry    *telemetry // see shown
	telemetryURL string     // of metrics and probes, "" for none
}

// stop stops whatever has been started. It may be called more than once.
func (s *stack) stop(ctx context.Context) {
	s.shown().health.Drain()
	for len(s.stops) > 0 {
		last := len(s.stops) - 1
		stop := s.stops[last]
		s.stops = s.stops[:last]
		stop(ctx)
	}
}

func (s *stack) onStop(stop func(context.Context)) { s.stops = append(s.stops, stop) }

// embedded says where and how the embedded Temporal runs. Ports are those of the
// loopback interface, 0 for any free one.
type embedded struct {
	dir                  string
	ui                   bool
	temporalPort, uiPort int
	// codec is where the Web UI has payloads opened, "" if they are not sealed.
	codec string
}

// memoWarning is the size in bytes of a memo above which the SDK warns. A batch
// with all the metadata that it may have is within it.
const memoWarning = 64 << 10

// connect connects to Temporal.
func (s *stack) connect(ctx context.Context, o temporal.Options) error {
	keys, err := sealKeys(s.config)
	if err != nil {
		return err
	}
	o.Client = client.Options{
		Logger:        worker.Logger(s.logger),
		DataConverter: codec.Converter(keys), FailureConverter: codec.FailureConverter(keys),
		PayloadLimits: client.PayloadLimitOptions{MemoSizeWarning: memoWarning},
	}
	if err := s.shown().client(&o.Client); err != nil {
		return err
	}
	c, err := temporal.Connect(ctx, o)
	if err != nil {
		return err
	}
	s.temporal, s.sealing = c, keys
	if _, namespace, err := o.Where(); err == nil { // Connect has come as far
		s.namespace = namespace
		s.shown().metrics.Backlog(c.WorkflowService(), namespace)
	}
	s.onStop(func(context.Context) { c.Close() })
	return nil
}

// openStore opens the store at location, and makes sure that it can be written to.
func (s *stack) openStore(ctx context.Context, location string) error {
	keys, err := sealKeys(s.config)
	if err != nil {
		return err
	}
	opened, err := store.OpenWith(ctx, location, store.Options{Keys: keys})
	if err != nil {
		return err
	}
	s.store = opened
	opened.Observe(s.shown().metrics.StoreOperation)
	s.shown().health.Add(api.Checks(s.temporal, opened)...)
	s.onStop(func(context.Context) { _ = opened.Close() })
	return opened.Check(ctx)
}

// startWorker starts a worker that calls providers. Calls in flight have their grace
// when it is stopped.
func (s *stack) startWorker(ctx context.Context, providers config.Providers, grace time.Duration) error {
	if err := s.callTo(ctx, providers); err != nil {
		return err
	}
	host, nudges := worker.NewHost(), &nudge.Board{}
	limits := limit.Options{
		Leaser: activities.NewQueues(s.temporal, nudges, host), Worker: host, Label: processName(), Bound: s.config.Worker.TaskConcurrency,
	}
	stopTelling := s.shown().gate(&limits, s.logger)
	s.onStop(func(context.Context) { stopTelling() })
	gate := limit.New(limits)
	s.onStop(func(context.Context) { gate.Close() })
	dispatcher := dispatch.New(gate, s.routes...)
	dispatcher.Assign(providers.Assignments...)
	s.shown().calls(dispatcher)
	s.hub, s.logs = live.NewHub(), streamlog.New(s.store)
	o := runner.Options{
		Store: s.store, Dispatcher: dispatcher, Logs: s.logs, Hub: s.hub, Backoff: llm.DefaultBackoff,
		Notify: activities.TellOfTask(s.temporal),
	}
	if !s.outgoing.Tasks.Off() {
		o.HTTP = s.httpTasks()
	}
	s.shown().runner(&o)
	s.runner = runner.New(o)
	s.onStop(func(context.Context) { s.runner.Close() })
	a := &activities.Activities{
		Store: s.store, Dispatcher: dispatcher, Runner: s.runner, Host: host, Nudges: nudges, StopGrace: grace, Webhooks: s.webhooks(),
	}
	s.shown().activities(a)
	w := worker.New(s.temporal, a, s.workerOptions())
	s.shown().health.Add(health.Check{Name: "worker", Ready: w.Ready})
	if err := w.Start(); err != nil {
		return err
	}
	s.onStop(func(context.Context) { w.Stop() })
	gate.Join(queue.Default)
	return nil
}

// workerOptions say how the worker presents itself to Temporal.
func (s *stack) workerOptions() worker.Options {
	w := s.config.Worker
	return worker.Options{
		Versioning: w.Versioning, Deployment: w.Deployment, BuildID: w.BuildID, Namespace: s.namespace, Logger: s.logger,
	}
}

// processName tells people which process this is. It need not be unique.
func processName() string {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown"
	}
	return fmt.Sprintf("%s:%d", name, os.Getpid())
}

// Times of the HTTP server.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	drainTimeout  = 5 * time.Second
)

// abandonedAfter is the age from which on an unfinished write is taken for one
// whose process was killed.
const abandonedAfter = 24 * time.Hour

// tidyStore deletes what killed processes left in the store, in the background.
func (s *stack) tidyStore(ctx context.Context) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.store.DeleteLeftovers(ctx, abandonedAfter); err != nil && ctx.Err() == nil {
			s.logger.Warn("delete leftovers of killed processes", "error", err)
		}
	}()
	s.onStop(func(context.Context) {
		cancel()
		<-done
	})
}

// serve starts the API on a listener and returns its URL, without /v1.
func (s *stack) serve(ctx context.Context, l net.Listener) string {
	s.tidyStore(ctx)
	if s.logs == nil {
		s.logs = streamlog.New(s.store)
	}
	o := api.Options{
		Temporal: s.temporal, Namespace: s.namespace, Store: s.store, Logger: s.logger, Keys: s.keys, Hub: s.hub, Logs: s.logs, MaxBody: s.config.API.MaxBody, HTTPTasks: s.outgoing.Tasks,
		Webhooks: api.Webhooks{Guard: s.outgoing.Webhooks, URL: s.outgoing.WebhookURL}, Sealing: s.sealing,
		CodecOrigins: slices.Concat(s.config.Encryption.CodecOrigins, s.uiOrigins),
	}
	if s.runner != nil {
		o.Runner = s.runner
	}
	if len(s.routes) > 0 {
		o.Models = newModels(s.routes)
	}
	s.shown().api(&o)
	handler := api.New(o)
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug),
	}
	server.RegisterOnShutdown(handler.Stop)
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.logger.Error("serve", "error", err)
		}
	}()
	s.onStop(func(ctx context.Context) {
		if s.drainFor > 0 {
			<-time.After(s.drainFor) // a second signal ends the process
		}
		ctx, cancel := context.WithTimeout(ctx, drainTimeout)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
	})
	return "http://" + l.Addr().String()
}

// listen listens on address. When it is only a default and taken, any free
// port will do.
func listen(ctx context.Context, address string, isDefault bool) (net.Listener, error) {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", address)
	if err == nil || !isDefault {
		return l, err
	}
	host, _, splitErr := net.SplitHostPort(address)
	if splitErr != nil {
		return nil, err
	}
	return c.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
}

// freePort returns port, or 0 for any if it is only a default and taken.
func freePort(ctx context.Context, port int, isDefault bool) int {
	if !isDefault || port == 0 {
		return port
	}
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return 0
	}
	_ = l.Close()
	return port
}

// Folders below --data.
func temporalDir(data string) string { return filepath.Join(data, "temporal") }
func storeDir(data string) string    { return filepath.Join(data, "store") }

// requireLoopback refuses an address that others can reach, unless it is guarded:
// requests have to show a key, or the operator says that something in front keeps
// others out.
func requireLoopback(address string, guarded bool) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return usageError{fmt.Errorf("--listen %q: expected host:port such as 127.0.0.1:8080", address)}
	}
	ip := net.ParseIP(host)
	if guarded || host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return usageError{fmt.Errorf(
		"--listen %s: whoever can reach this address could use your provider key; "+
			"listen on 127.0.0.1, configure api.keys ('headrace key new' makes one), "+
			"or add --insecure if something in front keeps others out", address)}
}
