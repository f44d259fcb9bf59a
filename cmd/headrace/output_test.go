package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTwoRunsDoNotWriteToOneFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	input, output := filepath.Join(dir, "in.jsonl"), filepath.Join(dir, "out.jsonl")
	require.NoError(t, os.WriteFile(input, nil, 0o600))
	first, err := openOutputs(io.Discard, input, output, "")
	require.NoError(t, err)
	_, err = openOutputs(io.Discard, input, output, "")
	require.ErrorContains(t, err, "another run writes to "+output)

	first.discard()
	second, err := openOutputs(io.Discard, input, output, "")
	require.NoError(t, err, "once the first has ended")
	require.NoError(t, second.files[0].commit())
	require.FileExists(t, output)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "nothing is left beside input and output")
}
