package simulator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
)

// Running is a Simulator with a server of its own.
type Running struct {
	*Simulator

	server   *http.Server
	addr     net.Addr
	cancel   context.CancelFunc // ends the calls that wait
	handlers sync.WaitGroup     // one per connection
	done     chan struct{}
	err      error // why it ended, once done is closed
}

// Start serves a new simulator over HTTP/1.1 on addr, such as "127.0.0.1:0",
// until Stop is called or ctx ends. It listens when Start returns. The log gets
// what the server itself has to say, nothing about requests.
func Start(ctx context.Context, addr string, o Options, log *slog.Logger) (*Running, error) {
	s, err := New(o)
	if err != nil {
		return nil, err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for the simulator: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	run := &Running{Simulator: s, addr: listener.Addr(), cancel: cancel, done: make(chan struct{})}
	run.server = &http.Server{
		Handler:     s,
		ConnState:   run.connState,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		// No deadline: the clients are tests and benchmarks, which a debugger may
		// hold, and none is hostile.
		ReadHeaderTimeout: 0,
	}
	go run.serve(listener)
	context.AfterFunc(ctx, func() { _ = run.server.Close() })
	return run, nil
}

func (r *Running) serve(listener net.Listener) {
	defer close(r.done)
	defer r.cancel()
	if err := r.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		r.err = fmt.Errorf("serve the simulator: %w", err)
	}
}

// URL returns the base URL for clients: http://HOST:PORT/v1.
func (r *Running) URL() string { return "http://" + r.addr.String() + "/v1" }

// Addr returns the address that it listens on.
func (r *Running) Addr() net.Addr { return r.addr }

// Done is closed when the server has ended, for whatever reason.
func (r *Running) Done() <-chan struct{} { return r.done }

// Stop ends the server: it closes all connections, those of calls in flight
// too, and waits for their handlers until ctx is done. It returns why the server
// had failed before, if it had. Stop may be called more than once.
func (r *Running) Stop(ctx context.Context) error {
	r.cancel()
	_ = r.server.Close() // the listener and the connections: nothing to be done about either
	ended := make(chan struct{})
	go func() {
		<-r.done // from then on there are no new connections
		r.handlers.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return r.err
	case <-ctx.Done():
		return fmt.Errorf("stop the simulator: %w", ctx.Err())
	}
}

// connState counts connections for Stats and for Stop.
func (r *Running) connState(conn net.Conn, state http.ConnState) {
	r.ConnState(conn, state)
	switch state {
	case http.StateNew:
		r.handlers.Add(1)
	case http.StateClosed, http.StateHijacked:
		r.handlers.Done()
	case http.StateActive, http.StateIdle:
	}
}
