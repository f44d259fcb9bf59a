package main

import (
	"cmp"
	"fmt"

	"github.com/headrace/headrace/internal/apikey"
	"github.com/headrace/headrace/internal/config"
	"github.com/headrace/headrace/internal/store"
)

// keyRing has the keys of the API, nil for none: then everybody may use it who
// reaches it, and nobody from elsewhere should.
func keyRing(c config.Config) (*apikey.Ring, error) {
	var all []apikey.Key
	for i, entry := range c.API.Keys {
		expires, err := apikey.ParseExpiry(entry.Expires)
		if err != nil {
			return nil, usageError{fmt.Errorf("api.keys[%d] (%s): %w", i, entry.Name, err)}
		}
		key := apikey.Key{
			Name: entry.Name, Project: cmp.Or(entry.Project, store.DefaultProject), Hash: entry.Hash, Expires: expires,
		}
		for _, scope := range entry.Scopes {
			key.Scopes = append(key.Scopes, apikey.Scope(scope))
		}
		all = append(all, key)
	}
	ring, err := apikey.NewRing(all)
	if err != nil {
		return nil, usageError{fmt.Errorf("api.keys: %w", err)}
	}
	return ring, requireLoopback(c.API.Listen, c.API.Insecure || ring != nil)
}
