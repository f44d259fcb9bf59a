// Package egress makes HTTP calls to URLs that users give, and keeps them from
// reaching what only this machine or its network should reach.
//
// A Guard says where calls may go. One kind lets through the hosts that the
// operator has listed and nothing else, for HTTP tasks; the other any public
// host, for webhooks. Both look at a URL before anything is sent, at every hop
// of a redirect, and at each address in the moment of dialling it: what a name
// resolved to a moment ago says nothing about where the connection goes.
//
// Addresses of this machine, of private and shared networks, of link-local and
// reserved ranges, and those of IPv6 that carry one of these inside, are
// refused unless the operator has listed them as private. Those of cloud
// metadata services are refused whatever is listed. No proxy is used, since it
// would dial in our place.
//
// The package knows nothing of tasks or webhooks. Read rules.go, then
// address.go, then client.go.
package egress
