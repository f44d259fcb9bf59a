package testbed

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"testing"

	"github.com/gofrs/flock"
	"github.com/stretchr/testify/require"
)

// Programs and the versions that the tests run. They are not in go.mod, since
// nothing is built from them.
const (
	versityGWModule  = "github.com/versity/versitygw/cmd/versitygw"
	versityGWVersion = "v1.8.0"
)

// Tool returns the path of a program, installed from the Go package that makes
// it in the given version. The first test that wants it waits while it is built.
func Tool(tb testing.TB, module, version string) string {
	tb.Helper()
	return once(tb, path.Base(module)+"-"+version, func(dir string) string {
		install := exec.CommandContext(tb.Context(), "go", "install", module+"@"+version) //nolint:gosec // names of our own
		install.Env = append(os.Environ(), "GOBIN="+dir)                                  //nolint:forbidigo // as the test was started
		output, err := install.CombinedOutput()
		require.NoError(tb, err, "install %s@%s: %s", module, version, output)
		return filepath.Join(dir, path.Base(module))
	})
}

// once returns the path of a program in .bin, which is made by the first test
// that wants it: build gets a folder for itself, and returns the program in it.
func once(tb testing.TB, name string, build func(dir string) string) string {
	tb.Helper()
	bin := filepath.Join(root(tb), ".bin")
	require.NoError(tb, os.MkdirAll(bin, 0o750))
	tool := filepath.Join(bin, name)
	lock := flock.New(tool + ".lock") // tests of several packages run at once
	require.NoError(tb, lock.Lock())
	defer func() { _ = lock.Unlock() }()
	if _, err := os.Stat(tool); err == nil {
		return tool
	}
	dir, err := os.MkdirTemp(bin, "install-") //nolint:usetesting // beside the final name, for the rename
	require.NoError(tb, err)
	defer func() { _ = os.RemoveAll(dir) }()
	require.NoError(tb, os.Rename(build(dir), tool))
	return tool
}

// root is the repository's folder.
func root(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	require.NoError(tb, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		require.NotEqual(tb, filepath.Dir(dir), dir, "no go.mod above the test")
		dir = filepath.Dir(dir)
	}
}
