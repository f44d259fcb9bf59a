package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestASlimBuildLeavesTheEmbeddedTemporalOut(t *testing.T) {
	t.Parallel()
	list, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", "slim", ".").Output()
	require.NoError(t, err)
	packages := strings.Fields(string(list))
	require.Contains(t, packages, "github.com/headrace/headrace/worker")
	for _, p := range packages {
		for _, part := range []string{"go.temporal.io/server", "github.com/temporalio/ui-server", "modernc.org/sqlite"} {
			require.False(t, strings.HasPrefix(p, part), "%s is among what a slim build is made of", p)
		}
	}
}
