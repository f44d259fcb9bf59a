package temporal

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"go.temporal.io/sdk/client"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// isUnauthenticated reports whether the server does not believe who we are.
func isUnauthenticated(err error) bool { return status.Code(err) == codes.Unauthenticated }

// diagnoseTimeout bounds each step of finding out what is wrong.
const diagnoseTimeout = 3 * time.Second

// diagnose finds out why a connection does not come about. gRPC tells that it has
// waited in vain, and seldom for what. It returns nil if a connection does come
// about now.
func diagnose(ctx context.Context, o client.Options) error {
	ctx, cancel := context.WithTimeout(ctx, diagnoseTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", o.HostPort)
	if err != nil {
		return fmt.Errorf("%w: %w: start Temporal first, or say where it is with temporal.address, TEMPORAL_ADDRESS or --temporal",
			errNoAnswer, err)
	}
	defer func() { _ = conn.Close() }()
	if o.ConnectionOptions.TLS == nil || o.ConnectionOptions.TLSDisabled {
		return wantsTLS(ctx, conn)
	}
	return explainTLS(handshake(ctx, conn, o))
}

// wantsTLS tells of a server that speaks TLS, which was not asked for.
func wantsTLS(ctx context.Context, conn net.Conn) error {
	c := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}} //nolint:gosec // nothing is sent
	err := tls.Client(conn, c).HandshakeContext(ctx)
	if err != nil && !strings.Contains(err.Error(), "remote error: tls:") {
		return nil //nolint:nilerr // it does not speak TLS, as is expected
	}
	return errors.New("the server speaks TLS: set temporal.tls.enabled, or an API key")
}

// handshake shakes hands as gRPC would, and waits for a refusal of our
// certificate, which comes after the hands were shaken.
func handshake(ctx context.Context, conn net.Conn, o client.Options) error {
	c := o.ConnectionOptions.TLS.Clone()
	c.NextProtos = []string{"h2"}
	if c.ServerName == "" {
		c.ServerName, _, _ = net.SplitHostPort(o.HostPort)
	}
	secured := tls.Client(conn, c)
	if err := secured.HandshakeContext(ctx); err != nil {
		return err
	}
	const wait = 500 * time.Millisecond
	_ = secured.SetReadDeadline(time.Now().Add(wait))
	_, err := secured.Read(make([]byte, 1))
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return nil
	}
	return err
}

// explainTLS says in words what an error of a handshake means; nil of nil.
func explainTLS(err error) error {
	if err == nil {
		return nil
	}
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, otherName := errors.AsType[x509.HostnameError](err)
	_, plain := errors.AsType[tls.RecordHeaderError](err)
	step := ""
	switch {
	case isInvalid && invalid.Reason == x509.Expired:
		step = "Temporal's certificate has expired, or the clock of this machine is wrong: renew it"
	case unknown:
		step = "Temporal's certificate is of an authority that is not known here: name its file with temporal.tls.ca_file"
	case otherName:
		step = "Temporal's certificate is for another name: set temporal.tls.server_name"
	case plain:
		step = "the server does not speak TLS: take temporal.tls and the API key out, or use the address of its TLS port"
	case strings.Contains(err.Error(), "remote error: tls:"):
		step = "Temporal does not accept our certificate: check temporal.tls.cert_file and its authority"
	default:
		return err
	}
	return fmt.Errorf("%s (%w)", step, err)
}
