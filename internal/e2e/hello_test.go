package e2e_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/simulator"
)

func TestTheExampleRunsWithoutAnySettings(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "run", absolute(t, "../../examples/hello.jsonl"), "--data", t.TempDir())
	require.Equal(t, 0, p.wait())
	require.Len(t, lines(t, &p.stdout.buf), 3)
	require.Contains(t, p.stderr.String(), "simulator")
}

func TestDevServesWhereItSays(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	_, url := dev(t, t.TempDir(), up.URL())
	require.NotEmpty(t, url)
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	return dir + "/" + path
}
