package egress

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Rules are what an operator has to say about calls to URLs that users give.
type Rules struct {
	// Hosts are those that a Guard of Listed lets through: "api.example.com",
	// "*.example.com" for every name below example.com but not itself, an IP
	// address, each with ":port" or without.
	Hosts []string
	// Private are hosts as in Hosts, IP addresses and CIDR ranges which may be
	// reached although they are not public.
	Private []string
}

// Guard decides where calls may go. It is safe for concurrent use.
type Guard struct {
	listed  []hostRule // nil when any public host will do
	public  bool
	private []hostRule
	ranges  []netip.Prefix
}

// Listed returns a Guard that lets through listed hosts only: none if none is
// listed. A listed host must be public, too, or be listed as private.
func (r Rules) Listed() (*Guard, error) { return r.guard(false) }

// Public returns a Guard that lets through any public host over https, and
// those listed as private over http, too.
func (r Rules) Public() (*Guard, error) { return r.guard(true) }

func (r Rules) guard(public bool) (*Guard, error) {
	g := &Guard{public: public}
	for _, s := range r.Hosts {
		rule, err := parseHostRule(s)
		if err != nil {
			return nil, err
		}
		g.listed = append(g.listed, rule)
	}
	for _, s := range r.Private {
		if p, ok := parseRange(s); ok {
			g.ranges = append(g.ranges, p)
			continue
		}
		rule, err := parseHostRule(s)
		if err != nil {
			return nil, err
		}
		g.private = append(g.private, rule)
	}
	return g, nil
}

// Off reports whether the Guard lets nothing through.
func (g *Guard) Off() bool { return !g.public && len(g.listed) == 0 }

// parseRange reads an IP address or a CIDR range.
func parseRange(s string) (netip.Prefix, bool) {
	literal := s
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		literal = s[1 : len(s)-1]
	}
	if a, err := netip.ParseAddr(literal); err == nil {
		a = plain(a)
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err == nil
}

// hostRule is one host, or all below a domain.
type hostRule struct {
	host  string // lower case; with a leading dot for all below
	port  string // "" for any
	below bool
}

func parseHostRule(s string) (hostRule, error) {
	bad := fmt.Errorf("%q is no host such as api.example.com, *.example.com or api.example.com:8443", s)
	name, below := strings.CutPrefix(s, "*.")
	u, err := url.Parse("//" + name)
	if err != nil || u.Host != name || u.User != nil || name == "" || strings.HasSuffix(name, ":") {
		return hostRule{}, bad
	}
	host, ok := canonical(u.Hostname())
	if !ok || below && net.ParseIP(host) != nil || u.Port() != "" && !validPort(u.Port()) {
		return hostRule{}, bad
	}
	if below {
		host = "." + host
	}
	return hostRule{host: host, port: u.Port(), below: below}, nil
}

func (r hostRule) matches(host, port string) bool {
	if r.port != "" && r.port != port {
		return false
	}
	if r.below {
		return strings.HasSuffix(host, r.host) && len(host) > len(r.host)
	}
	return host == r.host
}

func anyMatches(rules []hostRule, host, port string) bool {
	for _, r := range rules {
		if r.matches(host, port) {
			return true
		}
	}
	return false
}

// longestURL bounds a URL. Servers and proxies take about as much.
const longestURL = 2048

// CheckURL says whether a call may go to rawURL as far as the URL tells: the
// addresses that its host resolves to are looked at when it is called. An error
// is a ForbiddenError.
func (g *Guard) CheckURL(rawURL string) error {
	if len(rawURL) > longestURL {
		return forbid(Malformed, "the URL is longer than %d bytes", longestURL)
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return forbid(Malformed, "the URL cannot be read")
	}
	return g.check(u)
}

func (g *Guard) check(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" {
		return forbid(Scheme, "the URL must start with https:// or http://")
	}
	if u.User != nil {
		return forbid(Credentials, "the URL must not contain a user or a password")
	}
	host, ok := canonical(u.Hostname())
	port := portOf(u)
	if !ok || u.Opaque != "" || !validPort(port) {
		return forbid(Malformed, "the URL has no host that can be called")
	}
	if !g.public && !anyMatches(g.listed, host, port) {
		return forbid(Unlisted, "the host %s is not among those that may be called", net.JoinHostPort(host, port))
	}
	addr, err := netip.ParseAddr(host)
	literal := err == nil
	if literal {
		if err := g.checkAddress(host, port, addr); err != nil {
			return err
		}
	}
	private := anyMatches(g.private, host, port) || literal && g.inRange(addr)
	if g.public && u.Scheme == "http" && !private {
		return forbid(Unencrypted, "the URL must start with https://, unless its host is listed as private")
	}
	return nil
}

// checkAddress says whether a connection for host may be made to an address.
func (g *Guard) checkAddress(host, port string, a netip.Addr) error {
	r := classify(a)
	switch r {
	case "":
		return nil
	case Metadata, Unspecified, Multicast: // nobody has a use for these
	case Loopback, Private, Shared, LinkLocal, Reserved:
		if g.inRange(a) || anyMatches(g.private, host, port) {
			return nil
		}
	case Malformed, Scheme, Credentials, Unlisted, Downgrade, Unencrypted: // no reasons of addresses
	}
	if a.String() == host {
		return forbid(r, "the address %s is not public (%s)", a, r)
	}
	return forbid(r, "the address %s of %s is not public (%s)", a, host, r)
}

func (g *Guard) inRange(a netip.Addr) bool {
	a = plain(a)
	for _, p := range g.ranges {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// portOf is the port that a URL leads to.
func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	default:
		return "80"
	}
}

func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && strconv.FormatUint(n, 10) == s
}

// longestHost is that of a DNS name.
const longestHost = 253

// canonical is a host's name in lower case and without the dot of the root, or
// an IP address in its usual spelling. A name has letters, digits, hyphens,
// underscores and dots: one of other scripts has to come as IDNA spells it.
func canonical(host string) (string, bool) {
	if a, err := netip.ParseAddr(host); err == nil {
		return plain(a).String(), a.Zone() == ""
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "" || len(host) > longestHost {
		return "", false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", false
		}
	}
	return host, true
}
