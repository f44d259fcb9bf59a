package devserver

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
)

// stopTimeout bounds Stop. Temporal stops in milliseconds, unless it is telling
// a worker that has gone to cancel an activity: it gives that up after ten
// seconds only. What it would still write by then has lost its lease on the
// data to whoever started next, as after a crash.
const stopTimeout = 3 * time.Second

// Server is a running Temporal server, with or without its Web UI.
type Server struct {
	ctx     context.Context //nolint:containedctx // Stop has no context of its own; this one is never cancelled
	logger  *slog.Logger
	address string
	db      database

	// The parts in the order in which they start; nil before.
	lock   *lock
	ui     *webUI
	quiet  *quietLogger
	server temporal.Server

	stop sync.Once
}

// Start starts a server and returns when a client's next call will succeed. It
// fails with an error that wraps ErrLocked if another server, of this process
// or another, uses the folder, and with one that wraps ErrPortInUse if a port
// that o names is taken; nothing has been started or written then.
//
// ctx bounds the start only: it ends with Stop.
func Start(ctx context.Context, o Options) (*Server, error) {
	t := tuned()
	if o.LongHistory > 0 {
		t.dynamic = append(t.dynamic, setting{dynamicconfig.HistoryCountSuggestContinueAsNew, o.LongHistory})
	}
	return start(ctx, o, t)
}

func start(ctx context.Context, o Options, t tuning) (*Server, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	s := &Server{ctx: context.WithoutCancel(ctx), logger: o.Logger, db: newDatabase(o.Dir, t)}
	if err := s.start(ctx, o, t); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, o Options, t tuning) (err error) {
	if s.lock, err = acquire(o.Dir); err != nil {
		return err
	}
	if o.UI {
		if s.ui, err = listenUI(ctx, o.UIPort); err != nil {
			return err
		}
	}
	var more []primitives.ServiceName
	if o.SystemWorkers {
		more = append(more, primitives.WorkerService)
	}
	ports, err := choosePorts(ctx, o.FrontendPort, more...)
	if err != nil {
		return err
	}
	s.address = ports.frontend()
	if err := s.db.prepare(ctx, o, t); err != nil {
		return fmt.Errorf("prepare %s: %w", s.db.path, err)
	}
	s.quiet = newQuietLogger(s.ctx, o.Logger) //nolint:contextcheck // the server outlives the start
	if err := s.startTemporal(ctx, o, t, ports); err != nil {
		return err
	}
	if s.ui != nil {
		if err := s.ui.serve(s.address, o); err != nil {
			return fmt.Errorf("start temporal web ui: %w", err)
		}
	}
	return nil
}

// startTemporal turns the panics with which Temporal gives up, see
// logger.Fatal, into errors.
func (s *Server) startTemporal(ctx context.Context, o Options, t tuning, p ports) (err error) {
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(fatalError)
			if !ok {
				panic(r)
			}
			err = fmt.Errorf("start temporal: %w", f)
		}
	}()
	options, err := serverOptions(o, t, p, s.db.config(), s.quiet)
	if err != nil {
		return err
	}
	server, err := temporal.NewServer(options...)
	if err != nil {
		return fmt.Errorf("create temporal server: %w", err)
	}
	s.server = server
	if err := s.server.Start(); err != nil {
		return fmt.Errorf("start temporal server: %w", err)
	}
	if err := awaitReady(ctx, s.address, o.Namespace); err != nil {
		return fmt.Errorf("wait for temporal server: %w", err)
	}
	s.quiet.loud.Store(true)
	return nil
}

// Address is the host:port at which clients and workers reach the server.
func (s *Server) Address() string { return s.address }

// UIURL is the URL of the Web UI, "" without one.
func (s *Server) UIURL() string {
	if s.ui == nil {
		return ""
	}
	return s.ui.url()
}

// Stop stops the server and releases the folder. Close clients and stop workers
// before: calls that are still on their way fail. Stop may be called more than
// once.
//
// Temporal keeps a database connection for the rest of the process, and a few
// goroutines with it; the next Start opens its own.
func (s *Server) Stop() {
	s.stop.Do(func() {
		if s.ui != nil {
			s.ui.stop()
		}
		if s.server != nil {
			s.stopTemporal()
		}
		if s.lock != nil {
			s.warn("release folder", s.lock.release())
		}
	})
}

func (s *Server) stopTemporal() {
	s.quiet.loud.Store(false)
	stopped := make(chan error, 1)
	go func() { stopped <- s.server.Stop() }()
	select {
	case err := <-stopped:
		s.warn("stop temporal server", err)
	case <-time.After(stopTimeout):
		s.logger.LogAttrs(s.ctx, slog.LevelDebug, "temporal server stops slowly")
	}
	s.warn("checkpoint temporal database", s.db.checkpoint(s.ctx))
}

func (s *Server) warn(step string, err error) {
	if err != nil {
		s.logger.LogAttrs(s.ctx, slog.LevelWarn, "temporal server: stop", slog.String(keyStep, step), slog.Any(keyError, err))
	}
}
