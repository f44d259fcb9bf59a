package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/api"
	"github.com/headrace/headrace/internal/config"
	"github.com/headrace/headrace/internal/runner"
)

func TestTheEffectiveConfigurationIsPrintedWithoutSecrets(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "headrace.yaml")
	require.NoError(t, os.WriteFile(file, []byte("providers: [{name: p, key_env: MINE}]\napi: {max_body: 2048}\n"), 0o600))
	r := command(t, map[string]string{"MINE": "hush", "HEADRACE_CONFIG": file}, "config", "--listen", "127.0.0.1:9")
	require.Equal(t, 0, r.code, r.stderr)
	require.NotContains(t, r.stdout, "hush")
	require.Contains(t, r.stdout, "listen: 127.0.0.1:9 # from --listen\n")
	require.Contains(t, r.stdout, "max_body: 2048 # from "+file+"\n")
	require.Contains(t, r.stdout, "key: '***' # from providers[0].key_env\n")
}

func TestABadConfigurationIsToldAsAWhole(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "headrace.yaml")
	require.NoError(t, os.WriteFile(file, []byte("api: {maxbody: 7}\nstores: {}\n"), 0o600))
	r := command(t, nil, "config", "--config", file)
	require.Equal(t, 2, r.code)
	require.Contains(t, r.stderr, `line 1: unknown key "maxbody"`)
	require.Contains(t, r.stderr, `line 2: unknown key "stores"`)
	require.Empty(t, r.stdout)
	r = command(t, map[string]string{"HEADRACE_ALLOWED_PRIVATE": "10.0.0.0/99"}, "config")
	require.Equal(t, 2, r.code)
	require.Contains(t, r.stderr, "HEADRACE_ALLOWED_PRIVATE: ")
}

func TestTheExplainedConfigurationIsOneToStartFrom(t *testing.T) {
	t.Parallel()
	r := command(t, nil, "config", "--explain")
	require.Equal(t, 0, r.code)
	file := filepath.Join(t.TempDir(), "headrace.yaml")
	require.NoError(t, os.WriteFile(file, []byte(r.stdout), 0o600))
	require.Equal(t, command(t, nil, "config").stdout, command(t, nil, "config", "--config", file).stdout)
}

func TestDefaultsAreThoseOfThePackagesThatTheyAreFor(t *testing.T) {
	t.Parallel()
	require.EqualValues(t, api.DefaultMaxBody, config.Default().API.MaxBody)
	require.Equal(t, runner.DefaultConcurrency, config.Default().Worker.TaskConcurrency)
	require.Equal(t, defaultListen, config.Default().API.Listen)
	require.Equal(t, filepath.Clean(storeDir(defaultData)), config.Default().Store.URL)
}

func TestWhatKeysHaveWrongIsToldBeforeAnythingStarts(t *testing.T) {
	t.Parallel()
	encryption := strings.TrimSpace(command(t, nil, "key", "new", "--encryption").stdout)
	for says, env := range map[string]map[string]string{
		"encryption.keys: ":      {"HEADRACE_ENCRYPTION_KEYS_0_ID": "first", "HEADRACE_ENCRYPTION_KEYS_0_KEY": "hush"},
		"api.keys: ":             {"HEADRACE_API_KEYS_0_NAME": "web", "HEADRACE_API_KEYS_0_HASH": "hush"},
		"api.keys[0] (web): ":    {"HEADRACE_API_KEYS_0_NAME": "web", "HEADRACE_API_KEYS_0_EXPIRES": "soon"},
		"could use your provide": {"HEADRACE_API_LISTEN": "0.0.0.0:80"},
	} {
		for _, args := range [][]string{{"config"}, {"dev", "--data", t.TempDir()}, {"api"}} {
			if says == "encryption.keys: " && args[0] == "api" {
				continue // it wants to reach Temporal first
			}
			r := command(t, env, args...)
			require.Equal(t, 2, r.code, "%v: %s", args, r.stderr)
			require.Contains(t, r.stderr, says)
			require.NotContains(t, r.stderr, "hush")
		}
	}
	hash := "sha256:" + strings.Repeat("0a", 32)
	r := command(t, map[string]string{
		"HEADRACE_ENCRYPTION_KEYS_0_ID": "first", "HEADRACE_ENCRYPTION_KEYS_0_KEY": encryption, "HEADRACE_API_LISTEN": "0.0.0.0:80",
		"HEADRACE_API_KEYS_0_NAME": "web", "HEADRACE_API_KEYS_0_HASH": hash, "HEADRACE_API_KEYS_0_SCOPES": "submit, read",
	}, "config")
	require.Equal(t, 0, r.code, r.stderr)
	require.NotContains(t, r.stdout, encryption)
}
