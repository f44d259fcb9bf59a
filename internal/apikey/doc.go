// Package apikey says who may do what: which keys there are, whose they are, and
// what they allow. It is a leaf: it imports nothing of headrace but
// internal/secret, and knows neither HTTP nor the configuration.
//
// Read key.go, which makes keys and hashes them, then scope.go, ring.go and
// throttle.go.
package apikey
