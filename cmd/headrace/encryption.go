package main

import (
	"fmt"

	"github.com/headrace/headrace/internal/config"
	"github.com/headrace/headrace/internal/seal"
)

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
