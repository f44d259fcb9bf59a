//go:build slim

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestASlimBuildSaysWhatToUseInsteadOfItsOwnTemporal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	input, data := filepath.Join(dir, "a.jsonl"), filepath.Join(dir, "data")
	require.NoError(t, os.WriteFile(input, []byte(`{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{}}`), 0o600))
	for _, args := range [][]string{
		{"dev", "--listen", "127.0.0.1:0", "--data", data},
		{"run", input, "--data", data},
	} {
		r := command(t, nil, args...)
		require.Equal(t, 2, r.code)
		require.Contains(t, r.stderr, "this build has no embedded Temporal: use 'headrace run --server URL'")
		require.NoDirExists(t, data, "nothing is started")
		require.Contains(t, command(t, nil, args[0], "--help").stdout, "This build is slim")
	}
}
