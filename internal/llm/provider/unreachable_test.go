package provider_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/llm/provider"
)

// requireUnreachable makes a call to base, which must not get as far as an HTTP
// request.
func requireUnreachable(t *testing.T, base string) {
	t.Helper()
	e := failure(t, newProvider(t, provider.Config{BaseURL: base}), "{}")
	require.Equal(t, llm.Unreachable, e.Kind, e.Message)
	require.Equal(t, llm.CodeConnection, e.Code)
	require.Zero(t, e.Status)
	require.NotEmpty(t, e.Message)
	require.Error(t, e.Err)
}

func TestAnAddressWhereNothingListensIsUnreachable(t *testing.T) {
	t.Parallel()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	requireUnreachable(t, "http://"+listener.Addr().String())
}

func TestAnUnknownHostIsUnreachable(t *testing.T) {
	t.Parallel()
	const host = "headrace.invalid"
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := net.DefaultResolver.LookupHost(ctx, host)
	var dns *net.DNSError
	if !errors.As(err, &dns) || !dns.IsNotFound {
		t.Skipf("names are not resolved on this machine: %v", err)
	}
	requireUnreachable(t, "http://"+host)
}

func TestTLSToAPortThatSpeaksPlainHTTPIsUnreachable(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, nil)
	requireUnreachable(t, strings.Replace(u.URL, "http://", "https://", 1))
	require.Empty(t, u.arrivals)
}

func TestTLSToAPortThatSpeaksSomethingElseIsUnreachable(t *testing.T) {
	t.Parallel()
	requireUnreachable(t, "https://"+listenAndSay(t, "220 mail.example ESMTP\r\n"))
}

// listenAndSay returns the address of a server that greets whoever connects, and
// hangs up.
func listenAndSay(t *testing.T, greeting string) string {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte(greeting))
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return listener.Addr().String()
}

func TestACertificateThatNobodyVouchesForIsUnreachable(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = quiet()
	server.StartTLS()
	t.Cleanup(server.Close)
	requireUnreachable(t, server.URL)
}

func TestACertificateForAnotherHostIsUnreachable(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = quiet()
	server.StartTLS()
	t.Cleanup(server.Close)
	p := newProvider(t, provider.Config{BaseURL: "https://provider.example:443"})
	p.Transport().TLSClientConfig = trust(server)
	p.Transport().TLSClientConfig.ServerName = "other.test"
	p.Transport().DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}
	e := failure(t, p, "{}")
	require.Equal(t, llm.Unreachable, e.Kind)
	require.Contains(t, e.Message, "certificate is valid for")
}
