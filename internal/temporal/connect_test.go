package temporal_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"github.com/headrace/headrace/internal/secret"
	"github.com/headrace/headrace/internal/temporal"
)

// frontend is as much of a Temporal frontend as connecting needs.
type frontend struct {
	workflowservice.UnimplementedWorkflowServiceServer

	namespaces map[string]error // what is said of each; others do not exist
	apiKeys    chan string      // that requests came with
}

// GetSystemInfo implements the service.
func (f *frontend) GetSystemInfo(context.Context, *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	return &workflowservice.GetSystemInfoResponse{}, nil
}

// DescribeNamespace implements the service.
func (f *frontend) DescribeNamespace(ctx context.Context, r *workflowservice.DescribeNamespaceRequest) (*workflowservice.DescribeNamespaceResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	if all := md.Get("authorization"); len(all) > 0 {
		f.apiKeys <- all[0]
	}
	err, ok := f.namespaces[r.GetNamespace()]
	if !ok {
		err = serviceerror.ToStatus(serviceerror.NewNamespaceNotFound(r.GetNamespace())).Err()
	}
	return &workflowservice.DescribeNamespaceResponse{}, err
}

// serve runs a frontend, with TLS if there is a configuration, and returns its
// address.
func serve(t *testing.T, f *frontend, c *tls.Config) string {
	t.Helper()
	var options []grpc.ServerOption
	if c != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(c)))
	}
	f.apiKeys = make(chan string, 100)
	s := grpc.NewServer(options...)
	workflowservice.RegisterWorkflowServiceServer(s, f)
	grpc_health_v1.RegisterHealthServer(s, health.NewServer())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return l.Addr().String()
}

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its certificate
	dir  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	var err error
	a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	require.NoError(t, err)
	a.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	a.file = a.write("ca.pem", "CERTIFICATE", der)
	return a
}

func (a *authority) write(name, kind string, der []byte) string {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	require.NoError(a.t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return path
}

// sign makes a certificate for a name, good until a time, and returns its files.
func (a *authority) sign(name string, until time.Time) (cert, key string) {
	a.t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: until,
	}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses, template.DNSNames = []net.IP{ip}, nil
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, own.Public(), a.key)
	require.NoError(a.t, err)
	pkcs, err := x509.MarshalPKCS8PrivateKey(own)
	require.NoError(a.t, err)
	return a.write(name+".pem", "CERTIFICATE", der), a.write(name+".key", "PRIVATE KEY", pkcs)
}

// server is the configuration of a server with a certificate.
func (a *authority) server(name string, until time.Time) *tls.Config {
	a.t.Helper()
	pair, err := tls.LoadX509KeyPair(a.sign(name, until))
	require.NoError(a.t, err)
	return &tls.Config{Certificates: []tls.Certificate{pair}}
}

// connect connects, and closes again.
func connect(t *testing.T, o temporal.Options) error {
	t.Helper()
	o.Client.Logger = sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))
	c, err := temporal.Connect(t.Context(), o)
	if err == nil {
		c.Close()
	}
	return err
}

var tomorrow, yesterday = time.Now().Add(24 * time.Hour), time.Now().Add(-time.Hour)

func TestANamespaceThatIsMissingOrRefusedIsSaidAtTheStart(t *testing.T) {
	t.Parallel()
	f := &frontend{namespaces: map[string]error{
		"default": nil, "theirs": serviceerror.ToStatus(serviceerror.NewPermissionDenied("no", "")).Err(),
	}}
	address := serve(t, f, nil)
	require.NoError(t, connect(t, temporal.Options{Address: address}))
	require.ErrorContains(t, connect(t, temporal.Options{Address: address, Namespace: "nowhere"}),
		`there is no namespace "nowhere": make it with 'temporal operator namespace create -n nowhere'`)
	require.ErrorContains(t, connect(t, temporal.Options{Address: address, Namespace: "theirs"}), `access to namespace "theirs" is refused`)
}

func TestTemporalsOwnVariablesHoldWhereNothingElseIsSaid(t *testing.T) {
	t.Parallel()
	address := serve(t, &frontend{namespaces: map[string]error{"mine": nil}}, nil)
	env := map[string]string{"TEMPORAL_ADDRESS": address, "TEMPORAL_NAMESPACE": "mine", "TEMPORAL_CONFIG_FILE": filepath.Join(t.TempDir(), "none.toml")}
	o := temporal.Options{Env: temporal.Environment{Lookup: func(name string) string { return env[name] }}}
	require.NoError(t, connect(t, o))
	o.Namespace = "other"
	require.ErrorContains(t, connect(t, o), `there is no namespace "other"`)
}

func TestAPIKeysAndCertificatesReachTheServer(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	c := a.server("127.0.0.1", tomorrow)
	c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	c.ClientCAs.AddCert(a.cert)
	f := &frontend{namespaces: map[string]error{"default": nil}}
	address := serve(t, f, c)
	cert, key := a.sign("worker", tomorrow)
	o := temporal.Options{Address: address, APIKey: secret.New("hush"), TLS: temporal.TLS{CAFile: a.file, CertFile: cert, KeyFile: key}}
	require.NoError(t, connect(t, o))
	require.Equal(t, "Bearer hush", <-f.apiKeys)

	o.TLS.CertFile, o.TLS.KeyFile = "", ""
	require.ErrorContains(t, connect(t, o), "Temporal does not accept our certificate")
	o.TLS.CertFile, o.TLS.KeyFile = a.sign("old", yesterday)
	require.ErrorContains(t, connect(t, o), "our certificate (CN=old) has expired on ")
	o.TLS.CertFile = filepath.Join(a.dir, "none.pem")
	require.ErrorContains(t, connect(t, o), "none.pem: no such file or directory")
}

func TestWhatIsWrongWithTLSIsSaidInWords(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	f := func() *frontend { return &frontend{namespaces: map[string]error{"default": nil}} }
	good, expired := serve(t, f(), a.server("127.0.0.1", tomorrow)), serve(t, f(), a.server("127.0.0.1", yesterday))
	other, plain := serve(t, f(), a.server("elsewhere.test", tomorrow)), serve(t, f(), nil)
	known := temporal.TLS{CAFile: a.file}
	for _, c := range []struct {
		name, address string
		tls           temporal.TLS
		says          string
	}{
		{"expired", expired, known, "Temporal's certificate has expired"},
		{"unknown authority", good, temporal.TLS{Enabled: true}, "name its file with temporal.tls.ca_file"},
		{"other name", other, known, "set temporal.tls.server_name"},
		{"no TLS there", plain, known, "the server does not speak TLS"},
		{"no TLS here", good, temporal.TLS{}, "the server speaks TLS: set temporal.tls.enabled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, connect(t, temporal.Options{Address: c.address, TLS: c.tls}), c.says)
		})
	}
	require.NoError(t, connect(t, temporal.Options{Address: other, TLS: temporal.TLS{CAFile: a.file, ServerName: "elsewhere.test"}}))
}

func TestAServerThatIsNotThereIsSaidWithWhereToNameIt(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	err = connect(t, temporal.Options{Address: l.Addr().String()})
	require.ErrorContains(t, err, "connect to Temporal at "+l.Addr().String()+": the server does not answer")
	require.ErrorContains(t, err, "temporal.address, TEMPORAL_ADDRESS or --temporal")
}
