package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/config"
	"github.com/headrace/headrace/internal/webhook"
)

// kept keeps a secret in dir and returns the file that has it.
func kept(t *testing.T, dir string, env map[string]string) (outgoing, string) {
	t.Helper()
	lookup := func(name string) string { return env[name] }
	c, err := config.Load("", lookup)
	require.NoError(t, err)
	o, err := newOutgoing(c, lookup)
	require.NoError(t, err)
	require.NoError(t, o.keepSecret(dir))
	return o, filepath.Join(dir, secretFile)
}

func TestASecretIsMadeOnceAndReadableByItsOwnerAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o, path := kept(t, dir, nil)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	first, err := os.ReadFile(path)
	require.NoError(t, err)
	_, err = o.keys.Key("default")
	require.NoError(t, err)

	kept(t, dir, nil)
	again, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, first, again)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing is left behind")
}

func TestNoSecretIsMadeWhereOneIsConfigured(t *testing.T) {
	t.Parallel()
	_, path := kept(t, t.TempDir(), map[string]string{"HEADRACE_WEBHOOK_SECRET": webhook.NewSecret()})
	require.NoFileExists(t, path)
}

func TestASecretThatWasSpoiltIsAnErrorThatNamesItsFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, secretFile)
	for _, spoilt := range []string{"", "whsec_hush"} {
		require.NoError(t, os.WriteFile(path, []byte(spoilt), 0o600))
		o, err := newOutgoing(config.Default(), func(string) string { return "" })
		require.NoError(t, err)
		err = o.keepSecret(dir)
		require.ErrorContains(t, err, path)
		require.NotContains(t, err.Error(), "hush")
	}
	o, err := newOutgoing(config.Default(), func(string) string { return "" })
	require.NoError(t, err)
	require.ErrorContains(t, o.keepSecret(filepath.Join(dir, "missing")), "webhook secret")
}
