package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	temporal "go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/headrace/headrace/internal/devserver"
	"github.com/headrace/headrace/internal/simulator"
)

// cluster is headrace in processes of their own that share a Temporal and a
// store.
type cluster struct {
	t                          *testing.T
	temporal, namespace, store string
	env                        []string // of all processes
	url                        string   // of the API, without /v1
}

// newCluster starts an API beside a Temporal that runs already.
func newCluster(t *testing.T, address, namespace string) *cluster {
	t.Helper()
	c := &cluster{t: t, temporal: address, namespace: namespace, store: t.TempDir()}
	_, c.url = c.api()
	return c
}

// ownCluster starts an API on a ground that no other test uses.
func ownCluster(t *testing.T) *cluster {
	t.Helper()
	c := ground(t)
	_, c.url = c.api()
	return c
}

// api starts one more API and returns its URL, without /v1.
func (c *cluster) api() (*process, string) {
	c.t.Helper()
	p := start(c.t, c.env, append([]string{"api", "--listen", "127.0.0.1:0"}, c.flags()...)...)
	return p, p.await(p.stdout, `API (http://\S+)/v1`)
}

func (c *cluster) flags() []string {
	return []string{"--temporal", c.temporal, "--namespace", c.namespace, "--store", c.store}
}

// worker starts one more worker.
func (c *cluster) worker(upstream string) *process {
	c.t.Helper()
	p := start(c.t, c.env, append([]string{"worker", "--upstream", upstream}, c.flags()...)...)
	p.await(p.stdout, `worker is ready`)
	return p
}

// devTemporal starts a dev whose Temporal others can use, with its data in dir,
// and returns it with the address of Temporal.
func devTemporal(t *testing.T, dir string, port int, upstream string) (*process, string) {
	t.Helper()
	p, _ := dev(t, dir, upstream, "--temporal-port", strconv.Itoa(port))
	return p, fmt.Sprintf("127.0.0.1:%d", port)
}

// freePort is one that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// register makes a namespace, so that the worker of dev itself does not take
// part in what a test does there.
func register(t *testing.T, address, namespace string) {
	t.Helper()
	c, err := temporal.NewNamespaceClient(temporal.Options{HostPort: address})
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.Register(t.Context(), &workflowservice.RegisterNamespaceRequest{
		Namespace: namespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	}))
}

// devServer starts a Temporal in this process, for what only a test may ask of
// it.
func devServer(t *testing.T, o devserver.Options) string {
	t.Helper()
	o.Dir = t.TempDir()
	s, err := devserver.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	return s.Address()
}

// door is a way into a simulator that counts who comes in. Each worker has its
// own, so that a test can tell which one calls.
type door struct {
	url             string
	calls, inFlight atomic.Int64
}

func newDoor(t *testing.T, up *simulator.Simulator) *door {
	t.Helper()
	d := &door{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.calls.Add(1)
		d.inFlight.Add(1)
		defer d.inFlight.Add(-1)
		up.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	d.url = s.URL + "/v1"
	return d
}
