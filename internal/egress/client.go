package egress

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"syscall"
	"time"
)

// Options are those of a Client; zero ones have defaults.
type Options struct {
	// Redirects is how many redirects a call follows. With none, a 3xx is the
	// answer.
	Redirects int
	// MaxBody bounds the body of an answer in bytes, DefaultMaxBody if 0.
	MaxBody int64
	// UserAgent is sent when a call brings none.
	UserAgent string
	// Resolver and TLS are the system's if nil.
	Resolver *net.Resolver
	TLS      *tls.Config
}

// DefaultMaxBody is the largest answer that a Client takes unless told
// otherwise.
const DefaultMaxBody = 32 << 20

// Bounds of connections.
const (
	dialTimeout    = 10 * time.Second
	idleTimeout    = 90 * time.Second
	idlePerHost    = 64
	maxHeaderBytes = 256 << 10
)

// Client makes calls within the bounds of a Guard. It is safe for concurrent
// use.
type Client struct {
	guard   *Guard
	options Options
	http    *http.Client
}

// New returns a client that g guards.
func New(g *Guard, o Options) *Client {
	if o.MaxBody == 0 {
		o.MaxBody = DefaultMaxBody
	}
	c := &Client{guard: g, options: o}
	c.http = &http.Client{
		CheckRedirect: c.redirect,
		Transport: &http.Transport{
			Proxy:                  nil, // the one of the environment would dial for us
			DialContext:            c.dial,
			TLSClientConfig:        o.TLS,
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    dialTimeout,
			IdleConnTimeout:        idleTimeout,
			MaxIdleConnsPerHost:    idlePerHost,
			MaxResponseHeaderBytes: maxHeaderBytes,
			DisableCompression:     true, // bytes pass as they are, and none swell
		},
	}
	return c
}

// Close closes connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// dial connects to one of the addresses that a host has now, if it may.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{
		Timeout: dialTimeout, Resolver: c.options.Resolver,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil {
				return forbid(Malformed, "dialling %s: no IP address", address)
			}
			name, _ := canonical(host)
			return c.guard.checkAddress(name, port, at.Addr())
		},
	}
	return d.DialContext(ctx, network, address)
}

// redirect looks at a hop before it is made. Another host is sent none of the
// headers that were meant for the first one.
func (c *Client) redirect(next *http.Request, via []*http.Request) error {
	last := via[len(via)-1]
	switch {
	case c.options.Redirects == 0:
		return http.ErrUseLastResponse
	case len(via) > c.options.Redirects:
		return fmt.Errorf("more than %d redirects", c.options.Redirects)
	case last.URL.Scheme == "https" && next.URL.Scheme == "http":
		return forbid(Downgrade, "a redirect from https to http")
	}
	if err := c.guard.check(next.URL); err != nil {
		return fmt.Errorf("redirect: %w", err)
	}
	if next.URL.Host != via[0].URL.Host {
		maps.DeleteFunc(next.Header, func(name string, _ []string) bool { return !slices.Contains(forAnyHost, name) })
	}
	return nil
}

// forAnyHost are the headers that follow a redirect to another host.
var forAnyHost = []string{"Accept", "Accept-Language", "Content-Type", "User-Agent"}

// Request is one call. Header may be nil; its entries for the connection are
// not sent.
type Request struct {
	Method string
	URL    string
	Header http.Header
	Body   []byte
	// Timeout bounds the call, from dialling to the last byte of the answer; 0
	// leaves that to the context.
	Timeout time.Duration
}

// Response is the answer to a Request.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Call makes a call once, and returns whatever the server answers: a status of
// 500 is no error. One that the Guard does not allow is an ErrForbidden. With
// ErrTooLarge comes what was read.
func (c *Client) Call(ctx context.Context, r Request) (Response, error) {
	if err := c.guard.CheckURL(r.URL); err != nil {
		return Response{}, err
	}
	if r.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.Timeout)
		defer cancel()
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return Response{}, forbid(Malformed, "the method %q cannot be sent", r.Method)
	}
	req.Header = c.header(r.Header)
	resp, err := c.http.Do(req)
	if err != nil {
		return Response{}, bare(err)
	}
	defer func() { _ = resp.Body.Close() }()
	out := Response{Status: resp.StatusCode, Header: resp.Header}
	out.Body, err = io.ReadAll(io.LimitReader(resp.Body, c.options.MaxBody+1))
	if err == nil && int64(len(out.Body)) > c.options.MaxBody {
		out.Body = out.Body[:c.options.MaxBody]
		return out, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, c.options.MaxBody)
	}
	return out, err
}

// header is what is sent of the headers that a call brings.
func (c *Client) header(h http.Header) http.Header {
	sent := h.Clone()
	if sent == nil {
		sent = http.Header{}
	}
	for _, name := range []string{
		"Connection", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Expect",
	} {
		sent.Del(name)
	}
	if c.options.UserAgent != "" && sent.Get("User-Agent") == "" {
		sent.Set("User-Agent", c.options.UserAgent)
	}
	return sent
}

// bare is an error without the URL that net/http puts before it: that may hold
// what is not for a log. A forbidden call's own message is enough.
func bare(err error) error {
	if forbidden, ok := errors.AsType[*ForbiddenError](err); ok {
		return forbidden
	}
	if outer, ok := errors.AsType[*url.Error](err); ok {
		return outer.Err
	}
	return err
}
