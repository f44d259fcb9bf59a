package egress_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/headrace/headrace/internal/egress"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// local lets a client reach servers of the test.
var local = egress.Rules{Hosts: []string{"127.0.0.1", "*.test"}, Private: []string{"127.0.0.1"}}

// client makes a client that the test's end closes.
func client(t *testing.T, g *egress.Guard, o egress.Options) *egress.Client {
	t.Helper()
	c := egress.New(g, o)
	t.Cleanup(c.Close)
	return c
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func get(c *egress.Client, url string) (egress.Response, error) {
	return c.Call(context.Background(), egress.Request{Method: http.MethodGet, URL: url})
}

func TestACallPassesBytesAsTheyAre(t *testing.T) {
	t.Parallel()
	const body = "{\"a\" : 1}\x00\xff"
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(r.Body)
		if err != nil || string(got) != body || r.Method != http.MethodPut || r.URL.RawQuery != "a=b" {
			w.WriteHeader(http.StatusTeapot)
		}
		w.Header().Set("X-Seen", strings.Join([]string{
			r.Header.Get("X-Own"), r.Header.Get("User-Agent"), r.Header.Get("Accept-Encoding"), r.Header.Get("Proxy-Authorization"),
		}, "|"))
		w.WriteHeader(http.StatusBadGateway)
		_, _ = w.Write(got)
	})
	c := client(t, listed(t, local), egress.Options{UserAgent: "agent/1"})
	resp, err := c.Call(t.Context(), egress.Request{
		Method: http.MethodPut, URL: s.URL + "/x?a=b", Body: []byte(body), Timeout: time.Minute,
		Header: http.Header{"X-Own": {"mine"}, "Proxy-Authorization": {"secret"}, "Connection": {"close"}},
	})
	require.NoError(t, err)
	require.Equal(t, http.StatusBadGateway, resp.Status)
	require.Equal(t, body, string(resp.Body))
	require.Equal(t, "mine|agent/1||", resp.Header.Get("X-Seen"))
}

func TestAMethodThatCannotBeSentIsForbidden(t *testing.T) {
	t.Parallel()
	_, err := client(t, listed(t, local), egress.Options{}).Call(t.Context(), egress.Request{Method: "G E T", URL: "http://127.0.0.1/"})
	require.ErrorIs(t, err, egress.ErrForbidden)
}

func TestAnAnswerIsReadUpToTheLimit(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.URL.Query().Get("b"))) })
	c := client(t, listed(t, local), egress.Options{MaxBody: 4})
	resp, err := get(c, s.URL+"?b=1234")
	require.NoError(t, err)
	require.Equal(t, "1234", string(resp.Body))
	resp, err = get(c, s.URL+"?b=12345")
	require.ErrorIs(t, err, egress.ErrTooLarge)
	require.NotErrorIs(t, err, egress.ErrForbidden)
	require.Equal(t, "1234", string(resp.Body))
	require.Equal(t, http.StatusOK, resp.Status)
}

func TestACallEndsWithItsTimeout(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	_, err := client(t, listed(t, local), egress.Options{}).Call(t.Context(), egress.Request{URL: s.URL, Timeout: 50 * time.Millisecond})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotContains(t, err.Error(), s.URL, "errors are logged; URLs may hold what is not for a log")
}

func TestTheProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	var proxied atomic.Int64
	proxy := serve(t, func(http.ResponseWriter, *http.Request) { proxied.Add(1) })
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	c := client(t, listed(t, egress.Rules{Hosts: []string{"nowhere.test"}}), egress.Options{Resolver: resolver(t, addresses{"nowhere.test": {"192.0.2.1"}})})
	_, err := get(c, "http://nowhere.test/")
	require.ErrorIs(t, err, egress.ErrForbidden)
	require.Zero(t, proxied.Load())
}

func TestAHostThatResolvesToAPrivateAddressIsNotCalled(t *testing.T) {
	t.Parallel()
	var called atomic.Int64
	s := serve(t, func(http.ResponseWriter, *http.Request) { called.Add(1) })
	names := addresses{
		"four.test": {"127.0.0.1"}, "six.test": {"::1"}, "mapped.test": {"::ffff:127.0.0.1"}, "translated.test": {"64:ff9b::7f00:1"},
		"metadata.test": {"169.254.169.254"}, "both.test": {"10.0.0.1", "169.254.169.254"}, "localhost": {"127.0.0.1"},
	}
	for _, g := range []*egress.Guard{
		listed(t, egress.Rules{Hosts: []string{"*.test", "localhost"}}), public(t, egress.Rules{Private: []string{"unrelated.example"}}),
	} {
		c := client(t, g, egress.Options{Resolver: resolver(t, names)})
		for host := range names {
			_, err := get(c, "https://"+net.JoinHostPort(host, port(t, s.URL)))
			require.ErrorIs(t, err, egress.ErrForbidden, host)
			require.ErrorContains(t, err, host)
		}
	}
	require.Zero(t, called.Load())
}

// The name is public when it is looked at first and private when it is dialled:
// only what is dialled counts.
func TestANameThatIsReboundIsNotCalled(t *testing.T) {
	t.Parallel()
	var called atomic.Int64
	s := serve(t, func(http.ResponseWriter, *http.Request) { called.Add(1) })
	var asked atomic.Int64
	r := resolverOf(t, func(string) []string {
		if asked.Add(1) == 1 {
			return []string{"203.0.114.1"}
		}
		return []string{"127.0.0.1"}
	})
	first, err := r.LookupNetIP(t.Context(), "ip4", "rebound.test")
	require.NoError(t, err)
	require.Equal(t, "203.0.114.1", first[0].String())
	c := client(t, listed(t, egress.Rules{Hosts: []string{"rebound.test"}}), egress.Options{Resolver: r})
	target := "http://rebound.test:" + port(t, s.URL)
	require.NoError(t, listed(t, egress.Rules{Hosts: []string{"rebound.test"}}).CheckURL(target))
	_, err = get(c, target)
	require.ErrorIs(t, err, egress.ErrForbidden)
	require.EqualError(t, err, "the address 127.0.0.1 of rebound.test is not public (loopback)")
	require.Zero(t, called.Load())
}

func TestAPrivateHostMayBeListedByItsNameOrItsAddress(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) })
	at := "hooks.test:" + port(t, s.URL)
	for _, private := range []string{"hooks.test", "*.test", at, "127.0.0.1", "127.0.0.0/8"} {
		g := listed(t, egress.Rules{Hosts: []string{"hooks.test"}, Private: []string{private}})
		c := client(t, g, egress.Options{Resolver: resolver(t, addresses{"hooks.test": {"127.0.0.1"}})})
		resp, err := get(c, "http://"+at)
		require.NoError(t, err, private)
		require.Equal(t, at, string(resp.Body))
	}
}

func TestEachHopOfARedirectIsLookedAt(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusTemporaryRedirect)
			return
		}
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.Method+string(body)+r.Header.Get("X-Key")+r.Header.Get("Content-Type"))
	})
	p := ":" + port(t, s.URL)
	c := client(t, listed(t, local), egress.Options{Redirects: 3, Resolver: resolver(t, addresses{"a.test": {"127.0.0.1"}, "b.test": {"10.0.0.1"}})})
	call := func(to string) (egress.Response, error) {
		return c.Call(t.Context(), egress.Request{
			Method: http.MethodPost, URL: s.URL + "?to=" + url.QueryEscape(to), Body: []byte("!"),
			Header: http.Header{"X-Key": {"secret"}, "Content-Type": {"text/plain"}},
		})
	}
	resp, err := call("/elsewhere")
	require.NoError(t, err)
	require.Equal(t, "POST!secrettext/plain", string(resp.Body))
	resp, err = call("http://a.test" + p + "/")
	require.NoError(t, err)
	require.Equal(t, "POST!text/plain", string(resp.Body), "another host gets none of the first one's secrets")
	for _, to := range []string{"http://b.test" + p, "http://elsewhere.example", "http://169.254.169.254/", "ftp://a.test/", "http://user:pw@a.test" + p, "http://[::1]" + p} {
		_, err = call(to)
		require.ErrorIs(t, err, egress.ErrForbidden, to)
	}
	_, err = call("/?to=" + url.QueryEscape("/?to="+url.QueryEscape("/?to=/")))
	require.ErrorContains(t, err, "more than 3 redirects")
}

func TestARedirectFromHTTPSToHTTPIsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	secure := httptest.NewTLSServer(http.RedirectHandler(s.URL, http.StatusFound))
	t.Cleanup(secure.Close)
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	c := client(t, listed(t, local), egress.Options{Redirects: 3, TLS: &tls.Config{RootCAs: roots}})
	_, err := get(c, secure.URL)
	var forbidden *egress.ForbiddenError
	require.ErrorAs(t, err, &forbidden)
	require.Equal(t, egress.Downgrade, forbidden.Reason)
}

func TestWithoutRedirectsA3xxIsTheAnswer(t *testing.T) {
	t.Parallel()
	var followed atomic.Int64
	target := serve(t, func(http.ResponseWriter, *http.Request) { followed.Add(1) })
	s := serve(t, http.RedirectHandler(target.URL, http.StatusFound).ServeHTTP)
	resp, err := get(client(t, public(t, local), egress.Options{}), s.URL)
	require.NoError(t, err)
	require.Equal(t, http.StatusFound, resp.Status)
	require.Zero(t, followed.Load())
}

func TestACertificateThatNobodyTrustsEndsTheCall(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	_, err := get(client(t, public(t, local), egress.Options{}), s.URL)
	require.ErrorContains(t, err, "certificate")
	require.NotErrorIs(t, err, egress.ErrForbidden)
}

func port(t *testing.T, rawURL string) string {
	t.Helper()
	u, err := url.Parse(rawURL)
	require.NoError(t, err)
	return u.Port()
}
