package provider_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/headrace/headrace/internal/llm/provider"
)

// countingListener counts the connections that it accepts.
type countingListener struct {
	net.Listener

	accepted atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.accepted.Add(1)
	}
	return conn, err
}

// startEcho starts a server that answers with the body of the request. The
// first so many calls are answered once all of them have arrived.
func startEcho(t *testing.T, together int) (string, *countingListener) {
	t.Helper()
	var arrivals atomic.Int64
	all := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if arrivals.Add(1) == int64(together) {
			close(all)
		}
		<-all
		_, _ = io.Copy(w, r.Body)
	}))
	listener := &countingListener{Listener: server.Listener}
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return server.URL, listener
}

func TestSequentialCallsShareOneConnection(t *testing.T) {
	t.Parallel()
	url, listener := startEcho(t, 1)
	p := newProvider(t, provider.Config{BaseURL: url})
	for i := range 1000 {
		_, err := chat(t.Context(), p, fmt.Sprintf(`{"n":%d}`, i))
		require.NoError(t, err)
	}
	require.Equal(t, int64(1), listener.accepted.Load())
}

// TestConcurrentCallsKeepTheirConnectionsAndMixNothingUp begins with as many
// calls as there may be at once, each on a connection of its own. Otherwise
// net/http dials a few more while the first ones are being made: it gives a
// waiting call whichever connection is ready first, and keeps the other.
func TestConcurrentCallsKeepTheirConnectionsAndMixNothingUp(t *testing.T) {
	t.Parallel()
	for calls, atOnce := range map[int]int{5000: 64, 2000: 500} {
		url, listener := startEcho(t, atOnce)
		p := newProvider(t, provider.Config{BaseURL: url})
		var g errgroup.Group
		g.SetLimit(atOnce)
		for i := range calls {
			g.Go(func() error {
				body := fmt.Sprintf(`{"n":%d}`, i)
				got, err := chat(t.Context(), p, body)
				if err == nil && string(got.Body) != body {
					err = fmt.Errorf("%s was answered with %s", body, got.Body)
				}
				return err
			})
		}
		require.NoError(t, g.Wait())
		// A busy machine takes its time to hand a connection back, and the next
		// call dials meanwhile.
		require.LessOrEqual(t, listener.accepted.Load(), int64(3*atOnce), "connections of %d calls", calls)
	}
}

// trust makes a TLS configuration that accepts the certificate of a server.
func trust(server *httptest.Server) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

func TestCallsAreHTTP1EvenWhereHTTP2IsOffered(t *testing.T) {
	t.Parallel()
	arrivals := &upstream{arrivals: make(chan arrival, 1)}
	server := httptest.NewUnstartedServer(arrivals)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
	require.NoError(t, err)
	res, err := server.Client().Do(r)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, "HTTP/2.0", arrivals.last(t).proto, "to those who want it")

	p := newProvider(t, provider.Config{BaseURL: server.URL})
	p.Transport().TLSClientConfig = trust(server)
	_, err = chat(t.Context(), p, "{}")
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1", arrivals.last(t).proto)
}

func TestCloseLeavesNoConnection(t *testing.T) {
	t.Parallel()
	run := startSimulator(t)
	p := newProvider(t, provider.Config{BaseURL: run.URL()})
	var g errgroup.Group
	for range 20 {
		g.Go(func() error {
			_, err := chat(t.Context(), p, question("sim:latency=20ms"))
			return err
		})
	}
	require.NoError(t, g.Wait())
	require.Positive(t, run.Stats().OpenConnections)
	p.Close()
	p.Close()
	require.Eventually(t, func() bool { return run.Stats().OpenConnections == 0 }, 10*time.Second, time.Millisecond)
}

// brittleConn takes no byte once it is broken.
type brittleConn struct {
	net.Conn

	broken *atomic.Bool
}

func (c brittleConn) Write(p []byte) (int, error) {
	if c.broken.Load() {
		return 0, errors.New("broken pipe")
	}
	return c.Conn.Write(p)
}

func TestACallWhoseOldConnectionTakesNoByteGoesOutOnANewOne(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, nil)
	p := newProvider(t, provider.Config{BaseURL: u.URL})
	var dialled []*atomic.Bool
	dial := p.Transport().DialContext
	p.Transport().DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		dialled = append(dialled, new(atomic.Bool))
		return brittleConn{conn, dialled[len(dialled)-1]}, err
	}
	_, err := chat(t.Context(), p, "{}")
	require.NoError(t, err)
	_ = u.last(t)
	require.Len(t, dialled, 1)

	dialled[0].Store(true)
	_, err = chat(t.Context(), p, `{"n":2}`)
	require.NoError(t, err)
	require.Contains(t, string(u.last(t).body), "2", "once, and whole")
	require.Len(t, dialled, 2)
}
