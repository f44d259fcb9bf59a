package devserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strconv"
	"syscall"

	"go.temporal.io/server/common/primitives"
)

// ErrPortInUse is wrapped by the error of Start when a port that the options
// name is taken.
var ErrPortInUse = errors.New("port is in use")

const (
	loopback = "127.0.0.1"
	maxPort  = 1<<16 - 1
)

// services are the parts of Temporal that run. The worker service is not among
// them: see the decision record for what it would bring and cost.
func services() []primitives.ServiceName {
	return []primitives.ServiceName{primitives.FrontendService, primitives.HistoryService, primitives.MatchingService}
}

// ports has a port for each service.
type ports map[primitives.ServiceName]int

// choosePorts finds a free port for each service, and makes sure that the
// frontend's is free if it is given.
func choosePorts(ctx context.Context, frontend int, more ...primitives.ServiceName) (ports, error) {
	p := ports{}
	for _, service := range append(services(), more...) {
		want := 0
		if service == primitives.FrontendService {
			want = frontend
		}
		port, err := reserve(ctx, want)
		if err != nil {
			return nil, err
		}
		p[service] = port
	}
	return p, nil
}

func (p ports) address(service primitives.ServiceName) string {
	return net.JoinHostPort(loopback, strconv.Itoa(p[service]))
}

func (p ports) frontend() string { return p.address(primitives.FrontendService) }

// listen listens on a port of the loopback interface, 0 for a free one.
func listen(ctx context.Context, port int) (net.Listener, error) {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on port %d: %w; stop what uses it or choose another", port, ErrPortInUse)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on port %d: %w", port, err)
	}
	return l, nil
}

// reserve returns a port on which Temporal can listen a moment later, which it
// insists on doing itself. A free port is kept from everybody else who asks for
// one: Linux does not give away a port that has a connection in TIME_WAIT, yet
// lets those have it who ask for it by number. Other systems give ports away in
// turns.
func reserve(ctx context.Context, want int) (_ int, err error) {
	l, err := listen(ctx, want)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if want != 0 {
		return want, nil
	}
	if runtime.GOOS == "linux" {
		if err := leaveTimeWait(ctx, l); err != nil {
			return 0, fmt.Errorf("reserve port: %w", err)
		}
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return 0, fmt.Errorf("reserve port: %w", err)
	}
	return strconv.Atoi(port)
}

// leaveTimeWait makes a connection to l and closes it from l's side first,
// which is the side that then waits.
func leaveTimeWait(ctx context.Context, l net.Listener) error {
	var d net.Dialer
	client, err := d.DialContext(ctx, "tcp", l.Addr().String())
	if err != nil {
		return err
	}
	server, err := l.Accept()
	if err != nil {
		return errors.Join(err, client.Close())
	}
	return errors.Join(server.Close(), client.Close())
}
