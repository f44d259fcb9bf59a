package egress_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/egress"
)

func TestAnAddressIsPublicOrThereIsAReason(t *testing.T) {
	t.Parallel()
	for reason, addresses := range map[egress.Reason][]string{
		"": {
			"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1", "169.253.255.255",
			"169.255.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
			"2606:4700:4700::1111", "2001:200::1", "2a00:1450:4001::8a", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1",
		},
		egress.Loopback: {
			"127.0.0.1", "127.0.0.0", "127.255.255.255", "127.1.2.3", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1", "64:ff9b::127.0.0.1", "64:ff9b::7f00:1",
			"2002:7f00:1::", "::1%lo",
		},
		egress.Private: {
			"10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255", "fc00::", "fdff:ffff::1", "fec0::1",
			"::ffff:10.0.0.1", "64:ff9b::10.1.2.3", "2002:a00:1::1", "2002:c0a8:101::", "64:ff9b:1::1", "64:ff9b:1:ffff::808:808",
		},
		egress.Shared:      {"100.64.0.0", "100.127.255.255", "::ffff:100.64.0.1"},
		egress.LinkLocal:   {"169.254.0.1", "169.254.255.255", "fe80::1", "febf::1", "fe80::1%eth0", "::ffff:169.254.1.1"},
		egress.Unspecified: {"0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0", "64:ff9b::"},
		egress.Multicast:   {"224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1", "::ffff:224.0.0.1"},
		egress.Metadata: {
			"169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "169.254.170.2", "100.100.100.200",
			"168.63.129.16", "fd00:ec2::254",
		},
		egress.Reserved: {
			"192.0.0.1", "192.0.2.1", "192.88.99.1", "198.18.0.0", "198.19.255.255", "198.51.100.7", "203.0.113.7", "240.0.0.1", "255.255.255.255",
			"2001::1", "2001:0:53aa:64c:0:1:f5ff:fffe", "2001:db8::1", "2001:1ff:ffff::1", "3fff::1", "::2", "::127.0.0.1", "::808:808", "100::1", "4000::1", "5f00::1", "64:ff9b:2::1",
		},
	} {
		for _, a := range addresses {
			require.Equal(t, reason, egress.Classify(netip.MustParseAddr(a)), a)
		}
	}
	require.Equal(t, egress.Reserved, egress.Classify(netip.Addr{}), "no address at all")
}

func TestAnAddressThatIsNotPublicIsNotInsideAnother(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v4 := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address"))
		want := egress.Classify(netip.AddrFrom4(v4))
		mapped := netip.AddrFrom16([16]byte{10: 0xff, 11: 0xff, 12: v4[0], 13: v4[1], 14: v4[2], 15: v4[3]})
		translated := netip.AddrFrom16([16]byte{1: 0x64, 2: 0xff, 3: 0x9b, 12: v4[0], 13: v4[1], 14: v4[2], 15: v4[3]})
		relayed := netip.AddrFrom16([16]byte{0x20, 0x02, v4[0], v4[1], v4[2], v4[3], 15: 1})
		for _, a := range []netip.Addr{mapped, translated, relayed} {
			require.Equal(t, want, egress.Classify(a), a.String())
		}
	})
}

// The standard library knows fewer ranges, and none of them is public here.
func TestNoAddressIsPublicThatTheStandardLibraryKnowsToBeLocal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var a netip.Addr
		if rapid.Bool().Draw(t, "v4") {
			a = netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address")))
		} else {
			a = netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "address")))
		}
		if a.IsLoopback() || a.IsPrivate() || a.IsMulticast() || a.IsLinkLocalUnicast() || a.IsUnspecified() || !a.IsGlobalUnicast() {
			require.NotEmpty(t, egress.Classify(a), a.String())
		}
	})
}
