package egress

import "net/netip"

// block is a range of addresses that are no public ones.
type block struct {
	prefix netip.Prefix
	reason Reason
}

func blocks(reason Reason, prefixes ...string) []block {
	all := make([]block, len(prefixes))
	for i, p := range prefixes {
		all[i] = block{netip.MustParsePrefix(p), reason}
	}
	return all
}

// The special-purpose ranges of IPv4, from IANA's registry of them, and single
// addresses at which clouds hand out keys. The first that matches gives the
// reason.
var blocks4 = concat(
	// Most clouds; Alibaba; Azure's, which is a public address.
	blocks(Metadata, "169.254.169.254/32", "169.254.170.2/32", "169.254.170.23/32", "100.100.100.200/32", "168.63.129.16/32"),
	blocks(Unspecified, "0.0.0.0/8"),
	blocks(Loopback, "127.0.0.0/8"),
	blocks(Private, "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
	blocks(Shared, "100.64.0.0/10"),
	blocks(LinkLocal, "169.254.0.0/16"),
	blocks(Multicast, "224.0.0.0/4"),
	// Protocol assignments, documentation, the old 6to4 relays, benchmarking,
	// future use with the broadcast address.
	blocks(Reserved, "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4"),
)

// Ranges of IPv6. Whatever is not in the global unicast range is refused in the
// end, so that these only give better reasons, or are parts of that range.
var blocks6 = concat(
	blocks(Metadata, "fd00:ec2::254/128", "fd00:ec2::23/128", "fd20:ce::254/128"),
	blocks(Unspecified, "::/128"),
	blocks(Loopback, "::1/128"),
	blocks(Private, "fc00::/7", "fec0::/10", "64:ff9b:1::/48"),
	blocks(LinkLocal, "fe80::/10"),
	blocks(Multicast, "ff00::/8"),
	// Teredo and the other protocol assignments, documentation.
	blocks(Reserved, "2001::/23", "2001:db8::/32", "3fff::/20"),
)

var (
	globalUnicast = netip.MustParsePrefix("2000::/3")
	nat64         = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour     = netip.MustParsePrefix("2002::/16")
)

func concat(lists ...[]block) []block {
	var all []block
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// plain is an address in its shortest form: without a zone, and as IPv4 if it
// is one that IPv6 maps.
func plain(a netip.Addr) netip.Addr { return a.WithZone("").Unmap() }

// classify returns why an address is no public one, or "" for one that is.
func classify(a netip.Addr) Reason {
	a = plain(a)
	if !a.IsValid() {
		return Reserved
	}
	if a.Is4() {
		return find(blocks4, a)
	}
	if inner, ok := embedded(a); ok {
		return classify(inner)
	}
	if r := find(blocks6, a); r != "" {
		return r
	}
	if !globalUnicast.Contains(a) {
		return Reserved
	}
	return ""
}

func find(list []block, a netip.Addr) Reason {
	for _, b := range list {
		if b.prefix.Contains(a) {
			return b.reason
		}
	}
	return ""
}

// embedded returns the IPv4 address that packets to a end at, for those of IPv6
// that a translator or a relay knows.
func embedded(a netip.Addr) (netip.Addr, bool) {
	b := a.As16()
	switch {
	case nat64.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:])), true
	case sixToFour.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	default:
		return a, false
	}
}
