package main_test

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	main "github.com/headrace/headrace/bench"
)

// The measures that cost little run once, in their quick form, so that they
// cannot rot. What they find on a machine that is busy with tests says nothing,
// so no target is looked at.
func TestTheQuickMeasuresRun(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "bench")
	build, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, string(build))

	var stdout, stderr bytes.Buffer
	bench := exec.CommandContext(t.Context(), program, "-quick", "-only", "calls,plan,ready,accept,drain,idle,steady,stalled,taskcrash,"+
		"peak,share,retryafter,outage,interactive,pause,gate", "-dir", t.TempDir())
	bench.Stdout, bench.Stderr = &stdout, &stderr
	require.NoError(t, bench.Run(), stderr.String())

	rows := 0
	for line := range strings.Lines(stdout.String()) {
		if strings.HasPrefix(line, "| ") {
			require.Equal(t, 7, strings.Count(line, "|"), line)
			rows++
		}
	}
	require.Equal(t, 1+4+1+2+12+3+4+1+1+3+2+4+2+3+2+4+2, rows, stdout.String())
}

func TestAnUnknownMeasureIsRefused(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, main.Choose("calls,luck"), `"luck"`)
	require.NoError(t, main.Choose("calls,memory"))
	require.NoError(t, main.Choose(""))
}
