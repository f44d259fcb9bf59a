package testbed

import (
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Postgres is a PostgreSQL server with a database folder of its own. It is
// Debian's, and not built here.
type Postgres struct {
	// Host and Port are where it listens, User and Password those of its owner.
	Host, Port, User, Password string

	tb   testing.TB
	bin  string // the folder with its programs
	data string
	p    *process
}

// postgresPattern finds the programs of every version that Debian packages.
const postgresPattern = "/usr/lib/postgresql/*/bin/postgres"

// StartPostgres starts a server with an empty database folder. It keeps what it
// is given as PostgreSQL does by default: a commit is on the disk.
func StartPostgres(tb testing.TB) *Postgres {
	tb.Helper()
	found, err := filepath.Glob(postgresPattern)
	require.NoError(tb, err)
	require.NotEmpty(tb, found, "there is no PostgreSQL below /usr/lib/postgresql: apt-get install postgresql")
	host, port, err := net.SplitHostPort(freeAddress(tb))
	require.NoError(tb, err)
	dir, err := os.MkdirTemp("", "postgres-") //nolint:usetesting // below the test's folder nobody else gets
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &Postgres{
		Host: host, Port: port, User: "temporal", Password: "temporal",
		tb: tb, bin: filepath.Dir(slices.Max(found)), data: filepath.Join(dir, "data"),
	}
	password := filepath.Join(dir, "password")
	require.NoError(tb, os.WriteFile(password, []byte(p.Password), 0o600))
	p.giveAway(dir, password)
	output, err := p.command("initdb", "-D", p.data, "-U", p.User, "--pwfile", password, "-A", "scram-sha-256").CombinedOutput()
	require.NoError(tb, err, "initdb: %s", output)
	p.Start()
	return p
}

// Start starts the server, again after Stop.
func (p *Postgres) Start() {
	p.tb.Helper()
	p.p = run(p.tb, p.command("postgres", "-D", p.data, "-h", p.Host, "-p", p.Port, "-k", p.data, "-N", "200"))
	p.p.awaitReady(p.tb, func() error {
		ready := p.command("pg_isready", "-q", "-h", p.Host, "-p", p.Port, "-d", "postgres")
		return ready.Run()
	})
}

// Stop stops the server as an operator would who cannot wait: connections are
// cut, and what is committed is kept.
func (p *Postgres) Stop() {
	p.tb.Helper()
	p.p.end(p.tb, syscall.SIGINT)
}

// Crash stops the server without giving it time to tidy up: the next start
// recovers from its log.
func (p *Postgres) Crash() {
	p.tb.Helper()
	p.p.end(p.tb, syscall.SIGQUIT)
}

// command makes one of PostgreSQL's programs ready to run. They refuse to run as
// root, who runs them as the user of Debian's package.
func (p *Postgres) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(p.tb.Context(), filepath.Join(p.bin, name), args...) //nolint:gosec // programs of our own choice
	cmd.Dir = "/"
	if uid, gid, other := p.owner(); other {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
	}
	return cmd
}

// owner is whose the server is, if not ours.
func (p *Postgres) owner() (uid, gid uint32, other bool) {
	if os.Getuid() != 0 {
		return 0, 0, false
	}
	u, err := user.Lookup("postgres")
	require.NoError(p.tb, err)
	number := func(s string) uint32 {
		n, err := strconv.ParseUint(s, 10, 32)
		require.NoError(p.tb, err)
		return uint32(n)
	}
	return number(u.Uid), number(u.Gid), true
}

// giveAway makes paths those of the server's owner.
func (p *Postgres) giveAway(paths ...string) {
	if uid, gid, other := p.owner(); other {
		for _, path := range paths {
			require.NoError(p.tb, os.Chown(path, int(uid), int(gid)))
		}
	}
}
