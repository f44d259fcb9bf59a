package devserver_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/devserver"
)

func TestAFolderIsForOneServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startServer(t, devserver.Options{Dir: dir})
	_, err := devserver.Start(t.Context(), devserver.Options{Dir: dir})
	require.ErrorIs(t, err, devserver.ErrLocked)
	require.ErrorContains(t, err, dir)
	require.ErrorContains(t, err, "another server of this process")
	s.Stop()
	startServer(t, devserver.Options{Dir: dir})
}

func TestTheErrorNamesTheProcessThatHasTheFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := startChild(t, dir)
	_, err := devserver.Start(t.Context(), devserver.Options{Dir: dir})
	require.ErrorIs(t, err, devserver.ErrLocked)
	require.ErrorContains(t, err, fmt.Sprintf("process %d", c.Process.Pid))
}

func TestALockFileLeftBehindBlocksNobody(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "temporal.lock"), []byte("1\n"), 0o600))
	startServer(t, devserver.Options{Dir: dir})
}

func TestAPortInUseIsNamedBeforeAnythingStarts(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	port := l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // it listens on TCP
	for name, o := range map[string]devserver.Options{
		"frontend": {FrontendPort: port},
		"ui":       {UI: true, UIPort: port},
	} {
		t.Run(name, func(t *testing.T) {
			o.Dir = t.TempDir()
			_, err := devserver.Start(t.Context(), o)
			require.ErrorIs(t, err, devserver.ErrPortInUse)
			require.ErrorContains(t, err, strconv.Itoa(port))
			require.NoFileExists(t, filepath.Join(o.Dir, "temporal.db"))
		})
	}
}

func TestAServerListensOnThePortsThatItIsTold(t *testing.T) {
	t.Parallel()
	first := startServer(t, devserver.Options{UI: true})
	frontend, ui := portOf(t, first.Address()), portOf(t, first.UIURL()[len("http://"):])
	first.Stop()
	s := startServer(t, devserver.Options{FrontendPort: frontend, UI: true, UIPort: ui})
	require.Equal(t, first.Address(), s.Address())
	require.Equal(t, first.UIURL(), s.UIURL())
}

func portOf(tb testing.TB, address string) int {
	tb.Helper()
	_, port, err := net.SplitHostPort(address)
	require.NoError(tb, err)
	n, err := strconv.Atoi(port)
	require.NoError(tb, err)
	return n
}
