package e2e_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// hookSecret signs where a test says so.
const hookSecret = "whsec_dGhpcyBpcyBhIHNlY3JldCBvZiAzMiBieXRlcyAh"

// receiver is somebody who wants to hear of the end of things.
type receiver struct {
	address string
	socket  *os.File

	mu     sync.Mutex
	heard  []heard
	answer func(n int) int // the status for the n-th event, from 0; nil accepts all
	hold   chan struct{}   // if set, answers wait until it is closed
}

// heard is one event as it arrived.
type heard struct {
	header http.Header
	body   string
}

// newReceiver starts a receiver on a loopback port.
func newReceiver(t *testing.T, answer func(n int) int) *receiver {
	t.Helper()
	r := downReceiver(t)
	r.answer = answer
	r.open(t)
	return r
}

// downReceiver is a receiver that does not listen yet: connections to it are
// refused. Its port is bound, so that nobody else gets it.
func downReceiver(t *testing.T) *receiver {
	t.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	syscall.CloseOnExec(socket)
	r := &receiver{socket: os.NewFile(uintptr(socket), "receiver")}
	t.Cleanup(func() { _ = r.socket.Close() })
	require.NoError(t, syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	bound, err := syscall.Getsockname(socket)
	require.NoError(t, err)
	r.address = fmt.Sprintf("127.0.0.1:%d", bound.(*syscall.SockaddrInet4).Port)
	return r
}

func (r *receiver) url() string { return "http://" + r.address + "/hook" }

// open begins to listen, until the test ends.
func (r *receiver) open(t *testing.T) {
	t.Helper()
	require.NoError(t, syscall.Listen(int(r.socket.Fd()), syscall.SOMAXCONN))
	l, err := net.FileListener(r.socket)
	require.NoError(t, err)
	s := &http.Server{Handler: r}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body)
	r.mu.Lock()
	status := http.StatusNoContent
	if r.answer != nil {
		status = r.answer(len(r.heard))
	}
	r.heard = append(r.heard, heard{q.Header, string(body)})
	hold := r.hold
	r.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-q.Context().Done():
			return
		}
	}
	w.WriteHeader(status)
}

func (r *receiver) all() []heard {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]heard{}, r.heard...)
}

// await waits until so many events have arrived, and returns them.
func (r *receiver) await(t *testing.T, n int) []heard {
	t.Helper()
	poll(t, fmt.Sprintf("%d events", n), func() bool { return len(r.all()) >= n })
	return r.all()
}

// requireSignature checks an event as receivers do, with the library of the
// specification and with OpenAI's own.
func requireSignature(t *testing.T, secret string, h heard) {
	t.Helper()
	v, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	require.NoError(t, v.Verify([]byte(h.body), h.header))
	require.NoError(t, hookSDK(secret).Webhooks.VerifySignature([]byte(h.body), h.header))
}

// requireSigned checks an event that OpenAI has, too.
func requireSigned(t *testing.T, secret string, h heard) {
	t.Helper()
	requireSignature(t, secret, h)
	client := hookSDK(secret)
	event, err := client.Webhooks.Unwrap([]byte(h.body), h.header)
	require.NoError(t, err)
	require.Equal(t, h.header.Get("webhook-id"), event.ID)
}

func hookSDK(secret string) *sdk.Client {
	c := sdk.NewClient(option.WithAPIKey("unused"), option.WithWebhookSecret(secret))
	return &c
}

// hooked starts all of headrace with the given environment, beside what lets it
// reach receivers of the test.
func hooked(t *testing.T, dir, upstream string, env ...string) (*process, *system) {
	t.Helper()
	env = append([]string{"HEADRACE_ALLOWED_PRIVATE=127.0.0.1"}, env...)
	p := start(t, env, "dev", "--listen", "127.0.0.1:0", "--temporal-port", "0", "--ui-port", "0", "--data", dir, "--upstream", upstream)
	return p, &system{url: p.await(p.stdout, `API (http://\S+)/v1`)}
}

// hook is the part of a batch's creation that names a receiver.
func hook(url string) string { return fmt.Sprintf(`,"headrace":{"webhook":%q}`, url) }

// deliveries are those of a batch or a task, newest first.
func (s *system) deliveries(t *testing.T, subject string) []gjson.Result {
	t.Helper()
	return gjson.GetBytes(s.get(t, "/v1/webhooks/deliveries?subject="+subject).body, "data").Array()
}

// awaitDelivery waits until the newest delivery of a subject is as it should be.
func (s *system) awaitDelivery(t *testing.T, subject, what string, is func(gjson.Result) bool) gjson.Result {
	t.Helper()
	var d gjson.Result
	poll(t, "a delivery that "+what, func() bool {
		all := s.deliveries(t, subject)
		if len(all) == 0 {
			return false
		}
		d = all[0]
		return is(d)
	})
	return d
}

func (s *system) delivered(t *testing.T, subject string) gjson.Result {
	t.Helper()
	return s.awaitDelivery(t, subject, "is accepted", func(d gjson.Result) bool { return d.Get("status").Str == "delivered" })
}

// secretOf is the secret that headrace has made in its folder.
func secretOf(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "webhook-secret")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	return strings.TrimSpace(read(t, path))
}

// role starts one role of a cluster with the given environment.
func (c *cluster) role(env []string, more ...string) *process {
	c.t.Helper()
	p := start(c.t, slices.Concat(c.env, env), append(more, c.flags()...)...)
	p.await(p.stdout, `is ready`)
	return p
}
