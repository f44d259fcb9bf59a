//go:build cluster

package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/simulator"
	"github.com/headrace/headrace/internal/testbed"
)

// onCluster says that what tests share runs on a real Temporal, a real database
// and an object store.
const onCluster = true

// dynamicConfig is what an operator is told to give to Temporal.
const dynamicConfig = "../../deploy/temporal/dynamicconfig.yaml"

// bed is a PostgreSQL, a Temporal on it and an S3 server.
type bed struct {
	postgres *testbed.Postgres
	temporal *testbed.Temporal
	s3       *testbed.VersityGW

	namespaces atomic.Int64
}

func newBed(t testing.TB) *bed {
	t.Helper()
	b := &bed{postgres: testbed.StartPostgres(t), s3: testbed.StartVersityGW(t)}
	b.temporal = testbed.StartTemporal(t, b.postgres, dynamicConfig)
	return b
}

// ground is a namespace of its own, and a folder of the bucket.
func (b *bed) ground(t *testing.T) *cluster {
	t.Helper()
	name := fmt.Sprintf("ground-%d", b.namespaces.Add(1))
	b.temporal.AddNamespace(t, name)
	return &cluster{t: t, temporal: b.temporal.Address, namespace: name, store: b.s3.URL(name + "/"), env: b.s3.Env()}
}

// beds has the servers that tests share which leave each other alone.
var beds struct {
	sync.Once
	testbed.Suite

	bed *bed
}

func sharedBed(t *testing.T) *bed {
	t.Helper()
	beds.Do(func() { beds.bed = newBed(beds.For(t)) })
	require.NotNil(t, beds.bed, "the servers did not start")
	return beds.bed
}

// stopBed ends the servers that tests share.
func stopBed() { beds.Close() }

// ground is a Temporal and a store that no other test uses.
func ground(t *testing.T) *cluster {
	t.Helper()
	return sharedBed(t).ground(t)
}

// Processes of the system that tests share.
const (
	sharedAPIs    = 2
	sharedWorkers = 3
)

// startShared starts the system that tests share: APIs behind a proxy, and
// workers.
func startShared(t *testing.T, up *simulator.Running) {
	t.Helper()
	c := ground(t)
	c.env = append(c.env, "HEADRACE_WEBHOOK_SECRET="+hookSecret) // dev makes one for itself
	run := func(pattern string, args ...string) string {
		p := launch(t, common.dir, c.env, append(args, c.flags()...)...)
		common.processes = append(common.processes, p)
		return p.await(p.stdout, pattern)
	}
	front := &front{}
	for range sharedAPIs {
		front.add(t, run(`API (http://\S+)/v1`, "api", "--listen", "127.0.0.1:0", "--upstream", up.URL()))
	}
	for range sharedWorkers {
		run(`worker is ready`, "worker", "--upstream", up.URL())
	}
	proxy := httptest.NewServer(front)
	common.system = &system{url: proxy.URL, upstream: up}
}

// front is a proxy that gives each request to the next API.
type front struct {
	mu   sync.Mutex
	apis []http.Handler
	next int
}

// add takes one more API, by its URL.
func (f *front) add(t *testing.T, api string) {
	t.Helper()
	target, err := url.Parse(api)
	require.NoError(t, err)
	p := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		FlushInterval: -1, // streams must not wait
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.apis = append(f.apis, p)
}

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	api := f.apis[f.next%len(f.apis)]
	f.next++
	f.mu.Unlock()
	api.ServeHTTP(w, r)
}
