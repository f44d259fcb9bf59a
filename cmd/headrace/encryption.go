package main

import (
	"fmt"
	"net"
	"strings"

	"github.com/headrace/headrace/api"
	"github.com/headrace/headrace/internal/config"
	"github.com/headrace/headrace/internal/seal"
)

// codecOf is where the embedded Web UI has payloads opened: at the API that listens
// on address. It is "" if nothing is sealed.
func codecOf(c config.Config, address net.Addr) string {
	host, port, err := net.SplitHostPort(address.String())
	if err != nil || len(c.Encryption.Keys) == 0 {
		return ""
	}
	if ip := net.ParseIP(host); ip.IsUnspecified() {
		host = loopback
	}
	return "http://" + net.JoinHostPort(host, port) + api.PathCodec
}

// originsOf are the origins of pages of the embedded Web UI, by either name of this
// machine.
func originsOf(uiURL string) []string {
	if uiURL == "" {
		return nil
	}
	return []string{uiURL, strings.Replace(uiURL, loopback, "localhost", 1)}
}

const loopback = "127.0.0.1"

// sealKeys are the keys of the encryption at rest, nil for none.
func sealKeys(c config.Config) (*seal.Keys, error) {
	if len(c.Encryption.Keys) == 0 {
		return nil, nil //nolint:nilnil // nil seals nothing
	}
	var all []seal.Key
	for _, entry := range c.Encryption.Keys {
		all = append(all, seal.Key{ID: entry.ID, Secret: entry.Key.String})
	}
	keys, err := seal.New(all...)
	if err != nil {
		return nil, usageError{fmt.Errorf("encryption.keys: %w", err)}
	}
	return keys, nil
}
