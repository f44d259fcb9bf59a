package testbed

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// VersityGW is an S3 server that keeps its buckets in a folder. Clients reach it
// through a proxy, which can make it fail.
type VersityGW struct {
	// Endpoint is the server's URL.
	Endpoint string
	// AccessKey and SecretKey are the credentials of its only account.
	AccessKey, SecretKey string
	// Bucket is the name of a bucket that is there.
	Bucket string
	// Dir is the folder in which the bucket's objects lie.
	Dir string

	mu      sync.Mutex
	tb      testing.TB
	address string // of the server behind the proxy
	p       *process

	refusal Refusal
	changed chan struct{} // closed when refusal is changed, and replaced

	// writes counts the writes that were let through.
	writes atomic.Int64
}

// Refusal is how a server fails.
type Refusal int

// Ways to fail.
const (
	// RefuseNothing lets the server work again.
	RefuseNothing Refusal = iota
	// RefuseWrites answers writes with 503, as a server does whose disks are
	// away.
	RefuseWrites
	// DenyWrites answers writes with 403, as to credentials that may only read.
	DenyWrites
	// DenyAll answers everything with 403.
	DenyAll
	// Hang answers nothing until it is told otherwise or the client gives up.
	Hang
)

const region = "us-east-1"

// accessKey and secretKey are the same for all servers: a process has only one
// environment to find them in.
var accessKey, secretKey = rand.Text(), rand.Text()

// StartVersityGW starts an S3 server with one bucket, on the file system of the
// test's temporary folder, which must have extended attributes. All servers of a
// process have the same account.
func StartVersityGW(tb testing.TB) *VersityGW {
	tb.Helper()
	dir := tb.TempDir()
	v := &VersityGW{tb: tb, AccessKey: accessKey, SecretKey: secretKey, Bucket: "headrace-test", changed: make(chan struct{})}
	v.Dir = filepath.Join(dir, v.Bucket)
	// A folder is a bucket, made by whoever has the folder.
	require.NoError(tb, os.Mkdir(v.Dir, 0o750))
	v.address = freeAddress(tb)
	v.Start()
	target := &url.URL{Scheme: "http", Host: v.address}
	proxy := httptest.NewServer(v.refuse(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // it is signed
		},
		FlushInterval: -1,
	}))
	tb.Cleanup(proxy.Close)
	tb.Cleanup(func() { v.Refuse(RefuseNothing) }) // so that nothing hangs any more
	v.Endpoint = proxy.URL
	return v
}

// Start starts the server, again after Kill.
func (v *VersityGW) Start() {
	v.tb.Helper()
	const health = "/health"
	cmd := exec.CommandContext(v.tb.Context(), Tool(v.tb, versityGWModule, versityGWVersion), //nolint:gosec // a program of our own choice
		"--port", v.address, "--region", region, "--quiet", "--health", health, "posix", filepath.Dir(v.Dir))
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY_ID="+v.AccessKey, "ROOT_SECRET_ACCESS_KEY="+v.SecretKey) //nolint:forbidigo // as the test was started
	v.p = run(v.tb, cmd)
	v.p.awaitReady(v.tb, func() error { return get(v.tb, "http://"+v.address+health) })
}

// Kill ends the server with no chance to tidy up. Clients are answered 502 until
// Start.
func (v *VersityGW) Kill() { v.p.kill() }

func get(tb testing.TB, address string) error {
	tb.Helper()
	request, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, address, nil)
	require.NoError(tb, err)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", address, response.Status)
	}
	return nil
}

// URL is the location of the bucket for headrace, below a prefix unless that is
// empty.
func (v *VersityGW) URL(prefix string) string {
	query := url.Values{"endpoint": {v.Endpoint}, "region": {region}, "use_path_style": {"true"}}
	if prefix != "" {
		query.Set("prefix", prefix)
	}
	return "s3://" + v.Bucket + "?" + query.Encode()
}

// Env are the variables by which a process finds its credentials.
func (v *VersityGW) Env() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + v.AccessKey, "AWS_SECRET_ACCESS_KEY=" + v.SecretKey}
}

// Refuse makes the server fail from now on, for requests that come.
func (v *VersityGW) Refuse(how Refusal) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.refusal = how
	close(v.changed)
	v.changed = make(chan struct{})
}

func (v *VersityGW) refuses() (Refusal, <-chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.refusal, v.changed
}

// Writes returns how many writes and deletions have reached the server.
func (v *VersityGW) Writes() int64 { return v.writes.Load() }

func (v *VersityGW) refuse(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writes := r.Method != http.MethodGet && r.Method != http.MethodHead
		how, changed := v.refuses()
		switch {
		case how == Hang:
			select {
			case <-changed:
			case <-r.Context().Done():
			}
		case how == DenyAll, how == DenyWrites && writes:
			refuseWith(w, http.StatusForbidden, "AccessDenied")
		case how == RefuseWrites && writes:
			refuseWith(w, http.StatusServiceUnavailable, "ServiceUnavailable")
		default:
			if writes {
				v.writes.Add(1)
			}
			next.ServeHTTP(w, r)
		}
	})
}

// refuseWith answers as S3 does.
func refuseWith(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = strings.NewReader("<Error><Code>" + code + "</Code><Message>The test wants it so.</Message></Error>").WriteTo(w)
}
