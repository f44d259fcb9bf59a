package egress_test

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/egress"
)

func listed(t *testing.T, r egress.Rules) *egress.Guard {
	t.Helper()
	g, err := r.Listed()
	require.NoError(t, err)
	return g
}

func public(t *testing.T, r egress.Rules) *egress.Guard {
	t.Helper()
	g, err := r.Public()
	require.NoError(t, err)
	return g
}

// requireReason checks why a URL is refused, or with "" that it is not.
func requireReason(t *testing.T, g *egress.Guard, rawURL string, want egress.Reason) {
	t.Helper()
	err := g.CheckURL(rawURL)
	if want == "" {
		require.NoError(t, err, rawURL)
		return
	}
	require.ErrorIs(t, err, egress.ErrForbidden, rawURL)
	var forbidden *egress.ForbiddenError
	require.ErrorAs(t, err, &forbidden)
	require.Equal(t, want, forbidden.Reason, "%s: %v", rawURL, err)
	require.NotEmpty(t, err.Error())
}

func TestAnyPublicHostMayBeCalledOverHTTPS(t *testing.T) {
	t.Parallel()
	g := public(t, egress.Rules{})
	require.False(t, g.Off())
	for rawURL, want := range map[string]egress.Reason{
		"https://example.com/hook":                         "",
		"https://EXAMPLE.com:8443/a?b=c#d":                 "",
		"https://example.com.":                             "",
		"https://example.com:/":                            "",
		"https://xn--bcher-kva.example/":                   "",
		"https://a_b.example":                              "",
		"https://1.1.1.1/":                                 "",
		"https://[2606:4700:4700::1111]/":                  "",
		"http://example.com/hook":                          egress.Unencrypted,
		"http://1.1.1.1/":                                  egress.Unencrypted,
		"https://127.0.0.1/":                               egress.Loopback,
		"http://127.0.0.1/":                                egress.Loopback,
		"https://[::1]:9000/":                              egress.Loopback,
		"https://[::ffff:10.0.0.1]/":                       egress.Private,
		"https://192.168.1.1":                              egress.Private,
		"https://169.254.169.254/latest":                   egress.Metadata,
		"https://0.0.0.0":                                  egress.Unspecified,
		"https://[64:ff9b::a9fe:a9fe]/":                    egress.Metadata,
		"https://user@example.com/":                        egress.Credentials,
		"https://user:pw@example.com/":                     egress.Credentials,
		"https://@example.com/":                            egress.Credentials,
		"ftp://example.com/":                               egress.Scheme,
		"file:///etc/passwd":                               egress.Scheme,
		"gopher://example.com":                             egress.Scheme,
		"//example.com/":                                   egress.Scheme,
		"example.com":                                      egress.Scheme,
		"":                                                 egress.Scheme,
		"https:example.com":                                egress.Malformed,
		"https://":                                         egress.Malformed,
		"https:///path":                                    egress.Malformed,
		"https://:443/":                                    egress.Malformed,
		"https://example.com:0/":                           egress.Malformed,
		"https://example.com:65536/":                       egress.Malformed,
		"https://example.com:0443/":                        egress.Malformed,
		"https://example.com:port/":                        egress.Malformed,
		"https://exa mple.com/":                            egress.Malformed,
		"https://example.com\r\nX: y/":                     egress.Malformed,
		"https://bücher.example/":                          egress.Malformed,
		"https://a..b/":                                    egress.Malformed,
		"https://.example.com/":                            egress.Malformed,
		"https://example.com../":                           egress.Malformed,
		"https://a,b/":                                     egress.Malformed,
		"https://[fe80::1%25eth0]/":                        egress.Malformed,
		"https://[::1/":                                    egress.Malformed,
		"https://" + strings.Repeat("a", 254):              egress.Malformed,
		"https://example.com/" + strings.Repeat("a", 2048): egress.Malformed,
	} {
		requireReason(t, g, rawURL, want)
	}
}

func TestOnlyListedHostsMayBeCalled(t *testing.T) {
	t.Parallel()
	g := listed(t, egress.Rules{Hosts: []string{"api.example.com", "*.example.org", "only.example.net:8443", "*.below.example.net:8443", "9.9.9.9", "10.0.0.1", "[2606:4700::1]:444"}})
	for rawURL, want := range map[string]egress.Reason{
		"https://api.example.com/v1":         "",
		"http://api.example.com/v1":          "",
		"https://API.Example.COM.:8443/v1":   "",
		"https://a.example.org":              "",
		"https://a.b.example.org":            "",
		"https://only.example.net:8443/":     "",
		"https://x.below.example.net:8443":   "",
		"https://9.9.9.9/":                   "",
		"https://[::ffff:9.9.9.9]/":          "",
		"https://[2606:4700::1]:444/":        "",
		"https://[2606:4700:0::1]:444/":      "",
		"https://example.com/":               egress.Unlisted,
		"https://x.api.example.com/":         egress.Unlisted,
		"https://xapi.example.com/":          egress.Unlisted,
		"https://api.example.com.evil.test/": egress.Unlisted,
		"https://example.org/":               egress.Unlisted,
		"https://evilexample.org/":           egress.Unlisted,
		"https://only.example.net/":          egress.Unlisted,
		"https://x.below.example.net/":       egress.Unlisted,
		"https://[2606:4700::1]/":            egress.Unlisted,
		"https://127.0.0.1/":                 egress.Unlisted,
		"https://10.0.0.1/":                  egress.Private, // listed as a host, and not as private
	} {
		requireReason(t, g, rawURL, want)
	}
}

func TestWithNothingListedNothingMayBeCalled(t *testing.T) {
	t.Parallel()
	g := listed(t, egress.Rules{Private: []string{"127.0.0.1"}})
	require.True(t, g.Off())
	requireReason(t, g, "https://example.com", egress.Unlisted)
	requireReason(t, g, "https://127.0.0.1", egress.Unlisted)
	require.False(t, listed(t, egress.Rules{Hosts: []string{"a.test"}}).Off())
}

func TestWhatIsListedAsPrivateMayBeCalledOverHTTPToo(t *testing.T) {
	t.Parallel()
	g := public(t, egress.Rules{Private: []string{"localhost", "*.internal", "127.0.0.1", "10.1.0.0/16", "fd00::/8", "[::1]", "198.18.0.1:9000", "169.254.0.0/16"}})
	for rawURL, want := range map[string]egress.Reason{
		"http://localhost:9000/":     "",
		"http://hooks.internal/":     "",
		"http://127.0.0.1:9000/":     "",
		"http://[::ffff:127.0.0.1]/": "",
		"https://10.1.255.255/":      "",
		"http://[fd12::1]/":          "",
		"http://[::1]:8080/":         "",
		"http://198.18.0.1:9000/":    "",
		"http://169.254.1.1/":        "",
		"http://198.18.0.1:9001/":    egress.Reserved,
		"http://internal/":           egress.Unencrypted,
		"http://127.0.0.2/":          egress.Loopback,
		"https://10.2.0.0/":          egress.Private,
		"https://169.254.169.254/":   egress.Metadata, // whatever is listed
		"https://[64:ff9b::7f00:1]/": egress.Loopback, // it is for a translator, not for this machine
	} {
		requireReason(t, g, rawURL, want)
	}
}

func TestARuleThatNamesNoHostIsAnError(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"", "*", "*.", "**.example.com", "a.*.example.com", "https://example.com", "example.com/path", "example.com:0", "example.com:x", "user@example.com",
		"a b", "*.127.0.0.1", "bücher.example", "example.com:", "[::1", "a..b", "?", "#",
	} {
		_, err := egress.Rules{Hosts: []string{bad}}.Listed()
		require.Error(t, err, bad)
		_, err = egress.Rules{Private: []string{bad}}.Public()
		require.Error(t, err, bad)
	}
	_, err := egress.Rules{Hosts: []string{"10.0.0.0/8"}}.Listed()
	require.Error(t, err, "a range is no host")
	_, err = egress.Rules{Private: []string{"10.0.0.0/33"}}.Public()
	require.EqualError(t, err, `"10.0.0.0/33" is no host such as api.example.com, *.example.com or api.example.com:8443`)
}

// FuzzCheckURL holds whatever is let through to what a Guard promises, as
// another reading of the URL sees it.
func FuzzCheckURL(f *testing.F) {
	for _, seed := range []string{
		"https://example.com/", "http://127.0.0.1", "https://[::ffff:7f00:1]:1/", "https://user@host", "https://2130706433/", "https://0x7f.1/",
		"https://localhost%2eexample", "https://a\\@b/", "https://a#@b/", "https://a?@b/", "https://[::1%25a]/", "HTTPS://A.", "https://017700000001",
	} {
		f.Add(seed)
	}
	g, err := egress.Rules{}.Public()
	require.NoError(f, err)
	hosts, err := egress.Rules{Hosts: []string{"*.example.com"}}.Listed()
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, rawURL string) {
		if err := g.CheckURL(rawURL); err != nil {
			require.ErrorIs(t, err, egress.ErrForbidden)
		} else {
			u, err := url.Parse(rawURL)
			require.NoError(t, err)
			require.Equal(t, "https", u.Scheme)
			require.Nil(t, u.User)
			require.NotEmpty(t, u.Hostname())
			if a, err := netip.ParseAddr(u.Hostname()); err == nil {
				require.Empty(t, egress.Classify(a))
			}
		}
		if hosts.CheckURL(rawURL) == nil {
			u, err := url.Parse(rawURL)
			require.NoError(t, err)
			require.True(t, strings.HasSuffix(strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")), ".example.com"), rawURL)
		}
	})
}
