package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/headrace/headrace/internal/config"
)

// root is the top of the repository.
const root = ".."

// read returns a file of the repository.
func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(t, err)
	return string(content)
}

// headraceConfig is a headrace.yaml of a deployment.
type headraceConfig struct {
	config.Config

	text string
}

// readConfig reads a headrace.yaml as a process does that has env as its
// environment.
func readConfig(t *testing.T, path string, env map[string]string) headraceConfig {
	t.Helper()
	c, err := config.Load(filepath.Join(root, path), func(name string) string { return env[name] })
	require.NoError(t, err)
	require.Len(t, c.API.Keys, 1)
	require.True(t, strings.HasPrefix(c.API.Keys[0].Hash, "sha256:"), "the environment has the hash")
	return headraceConfig{Config: c, text: read(t, path)}
}

// stopGrace is worker.stop_grace.
func (c headraceConfig) stopGrace() time.Duration { return time.Duration(c.Worker.StopGrace) }

// variables are those that the file names as the place of a secret.
func (c headraceConfig) variables() []string {
	var names []string
	for _, found := range regexp.MustCompile(`(?m)^[^#\n]*_env: (\w+)`).FindAllStringSubmatch(c.text, -1) {
		names = append(names, found[1])
	}
	return names
}

// goMemLimit is the value of GOMEMLIMIT in bytes.
func goMemLimit(t *testing.T, value string) int64 {
	t.Helper()
	number, found := strings.CutSuffix(value, "MiB")
	require.True(t, found, value)
	var mib int64
	require.NoError(t, yaml.Unmarshal([]byte(number), &mib))
	return mib << 20
}

// leavesRoom holds what may happen between the memory that Go keeps to and the
// memory at which a process is killed.
func leavesRoom(t *testing.T, keepsTo string, limit int64) {
	t.Helper()
	keeps := float64(goMemLimit(t, keepsTo))
	require.Less(t, keeps, 0.95*float64(limit), "GOMEMLIMIT leaves nothing of the limit for the rest")
	require.Greater(t, keeps, 0.5*float64(limit), "GOMEMLIMIT leaves most of the limit unused")
}
