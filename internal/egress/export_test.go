package egress

import "net/netip"

// Classify lets tests see why an address is no public one.
func Classify(a netip.Addr) Reason { return classify(a) }
