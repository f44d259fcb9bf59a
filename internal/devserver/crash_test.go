package devserver_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/headrace/headrace/internal/devserver"
)

// childEnv makes the test binary a server on the folder that it names.
const childEnv = "HEADRACE_DEVSERVER_CHILD"

// child starts workflows until it is killed and prints the id of each once the
// server has acknowledged it.
func child(dir string) {
	ctx := context.Background()
	s, err := devserver.Start(ctx, devserver.Options{Dir: dir})
	exitOn(err)
	c, err := client.DialContext(ctx, clientOptions(s.Address(), devserver.DefaultNamespace))
	exitOn(err)
	for i := 0; ; i++ {
		id := fmt.Sprintf("workflow-%d", i)
		_, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: queue}, nap, time.Hour)
		exitOn(err)
		fmt.Println(id)
	}
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type childProcess struct {
	*exec.Cmd

	ids *bufio.Scanner
}

// startChild returns when the child has acknowledged its first workflow.
func startChild(tb testing.TB, dir string) *childProcess {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(tb, err)
	require.NoError(tb, cmd.Start())
	c := &childProcess{cmd, bufio.NewScanner(out)}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	c.next(tb)
	return c
}

func (c *childProcess) next(tb testing.TB) string {
	tb.Helper()
	require.True(tb, c.ids.Scan(), "the child ended")
	return c.ids.Text()
}

func TestWhatWasAcknowledgedSurvivesAKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := "workflow-0"
	c := startChild(t, dir)
	acknowledged := []string{first}
	for range 50 {
		acknowledged = append(acknowledged, c.next(t))
	}
	require.NoError(t, c.Process.Kill())
	for c.ids.Scan() {
		acknowledged = append(acknowledged, c.ids.Text())
	}
	require.Error(t, c.Wait())

	survivor := dial(t, startServer(t, devserver.Options{Dir: dir}))
	for _, id := range acknowledged {
		_, err := survivor.DescribeWorkflowExecution(t.Context(), id, "")
		require.NoError(t, err)
	}
}
