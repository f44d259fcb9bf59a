package testbed

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Temporal is a Temporal server on a PostgreSQL, with all its services in one
// process: the program that Temporal releases, with its own schema.
type Temporal struct {
	// Address is that of its frontend.
	Address string

	tb      testing.TB
	program string
	config  string
	p       *process
}

// temporalPackages are the programs, of the version that go.mod has.
var temporalPackages = map[string]string{
	"server": "go.temporal.io/server/cmd/server", "sql": "go.temporal.io/server/cmd/tools/sql",
}

// StartTemporal sets the schema up and starts a server with the given file of
// dynamic configuration.
func StartTemporal(tb testing.TB, p *Postgres, dynamicConfig string) *Temporal {
	tb.Helper()
	s := &Temporal{tb: tb, program: build(tb, "server"), config: filepath.Join(tb.TempDir(), "temporal.yaml")}
	setUpSchema(tb, p)
	ports := make(map[string]string)
	services := []string{"frontend", "matching", "history", "worker"}
	for _, service := range services {
		for _, kind := range []string{"", "Membership"} {
			ports[service+kind] = lowPort(tb)
		}
	}
	s.Address = net.JoinHostPort("127.0.0.1", ports["frontend"])
	f, err := os.Create(s.config)
	require.NoError(tb, err)
	absolute, err := filepath.Abs(dynamicConfig)
	require.NoError(tb, err)
	require.NoError(tb, temporalConfig.Execute(f, map[string]any{
		"DB": p, "Ports": ports, "Dynamic": absolute, "Services": services,
		"Databases": map[string]string{"default": "temporal", "visibility": "temporal_visibility"},
	}))
	require.NoError(tb, f.Close())
	s.Start()
	return s
}

// Start starts the server, again after Stop or Kill.
func (s *Temporal) Start() {
	s.tb.Helper()
	s.p = run(s.tb, exec.CommandContext(s.tb.Context(), s.program, "--config-file", s.config, "--allow-no-auth", "start")) //nolint:gosec // ours
	s.p.awaitReady(s.tb, func() error {
		c, err := client.DialContext(s.tb.Context(), client.Options{HostPort: s.Address, Logger: silent{}})
		if err == nil {
			defer c.Close()
			_, err = c.WorkflowService().DescribeNamespace(s.tb.Context(), &workflowservice.DescribeNamespaceRequest{Namespace: "temporal-system"})
		}
		return err
	})
}

// Stop stops the server as an operator would.
func (s *Temporal) Stop() {
	s.tb.Helper()
	s.p.end(s.tb, syscall.SIGTERM)
}

// Kill ends the server with no chance to tidy up.
func (s *Temporal) Kill() { s.p.kill() }

// AddNamespace makes a namespace, and waits until it can be used.
func (s *Temporal) AddNamespace(tb testing.TB, name string) {
	tb.Helper()
	c, err := client.NewNamespaceClient(client.Options{HostPort: s.Address, Logger: silent{}})
	require.NoError(tb, err)
	defer c.Close()
	require.NoError(tb, c.Register(tb.Context(), &workflowservice.RegisterNamespaceRequest{
		Namespace: name, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	}))
	w, err := client.DialContext(tb.Context(), client.Options{HostPort: s.Address, Namespace: name, Logger: silent{}})
	require.NoError(tb, err)
	defer w.Close()
	// Every service of the server learns of a namespace when it looks again.
	s.p.awaitReady(tb, func() error {
		_, err := w.WorkflowService().ListWorkflowExecutions(tb.Context(), &workflowservice.ListWorkflowExecutionsRequest{Namespace: name})
		return err
	})
}

// lowPort is a free port that fits into 15 bits: PostgreSQL's schema keeps ports of
// membership in a smallint.
func lowPort(tb testing.TB) string {
	tb.Helper()
	const first, count = 15_000, 15_000
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", first+rand.N(count)) //nolint:gosec // a port, and no secret
		l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", address)
		if err != nil {
			continue
		}
		defer func() { _ = l.Close() }()
		return strings.TrimPrefix(address, "127.0.0.1:")
	}
	require.Fail(tb, "no free port below 32768")
	return ""
}

// silent is a logger of Temporal's SDK that says nothing.
type silent struct{}

func (silent) Debug(string, ...any) {}
func (silent) Info(string, ...any)  {}
func (silent) Warn(string, ...any)  {}
func (silent) Error(string, ...any) {}

// setUpSchema makes the databases, with Temporal's own tool and schema.
func setUpSchema(tb testing.TB, p *Postgres) {
	tb.Helper()
	tool := build(tb, "sql")
	for database, schema := range map[string]string{"temporal": "temporal", "temporal_visibility": "visibility"} {
		for _, step := range [][]string{
			{"create-database"}, {"setup-schema", "-v", "0.0"},
			{"update-schema", "-d", filepath.Join(module(tb), "schema/postgresql/v12", schema, "versioned")},
		} {
			args := append([]string{
				"--plugin", "postgres12", "--ep", p.Host, "-p", p.Port, "-u", p.User, "--pw", p.Password, "--db", database,
			}, step...)
			output, err := exec.CommandContext(tb.Context(), tool, args...).CombinedOutput() //nolint:gosec // ours
			require.NoError(tb, err, "%v: %s", step, output)
		}
	}
}

// module is the folder of the server's module.
func module(tb testing.TB) string {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "go.temporal.io/server")
	dir, err := cmd.Output()
	require.NoError(tb, err)
	return strings.TrimSpace(string(dir))
}

// build makes a program of Temporal's from the module that the tests themselves
// are built with, so that what is compiled for one serves the other. The few
// modules that only the programs need are added to a copy of go.mod.
func build(tb testing.TB, name string) string {
	tb.Helper()
	return once(tb, fmt.Sprintf("temporal-%s-%s", name, filepath.Base(module(tb))), func(dir string) string {
		own := filepath.Join(dir, "go.mod")
		for _, file := range []string{"go.mod", "go.sum"} {
			data, err := os.ReadFile(filepath.Join(root(tb), file)) //nolint:gosec // of the repository
			require.NoError(tb, err)
			require.NoError(tb, os.WriteFile(filepath.Join(dir, file), data, 0o600)) //nolint:gosec // into a folder of our own
		}
		version := filepath.Base(module(tb))
		_, version, _ = strings.Cut(version, "@")
		program := filepath.Join(dir, name)
		for _, args := range [][]string{
			{"get", "-modfile", own, temporalPackages[name] + "@" + version},
			{"build", "-modfile", own, "-ldflags", "-s -w", "-o", program, temporalPackages[name]},
		} {
			cmd := exec.CommandContext(tb.Context(), "go", args...) //nolint:gosec // ours
			cmd.Dir = root(tb)
			output, err := cmd.CombinedOutput()
			require.NoError(tb, err, "go %v: %s", args, output)
		}
		return program
	})
}

var temporalConfig = template.Must(template.New("temporal").Parse(strings.TrimSpace(`
log: {stdout: true, level: error}
persistence:
  defaultStore: default
  visibilityStore: visibility
  numHistoryShards: 4
  datastores:
{{- range $store, $database := .Databases }}
    {{ $store }}:
      sql:
        pluginName: postgres12
        databaseName: {{ $database }}
        connectAddr: "{{ $.DB.Host }}:{{ $.DB.Port }}"
        connectProtocol: tcp
        user: {{ $.DB.User }}
        password: {{ $.DB.Password }}
        maxConns: 20
        maxIdleConns: 20
        maxConnLifetime: 1h
{{- end }}
global:
  membership: {maxJoinDuration: 30s, broadcastAddress: 127.0.0.1}
services:
{{- range $service := .Services }}
  {{ $service }}:
    rpc:
      grpcPort: {{ index $.Ports $service }}
      membershipPort: {{ index $.Ports (print $service "Membership") }}
      bindOnLocalHost: true
{{- end }}
clusterMetadata:
  enableGlobalNamespace: false
  failoverVersionIncrement: 10
  masterClusterName: active
  currentClusterName: active
  clusterInformation:
    active: {enabled: true, initialFailoverVersion: 1, rpcName: frontend, rpcAddress: "127.0.0.1:{{ .Ports.frontend }}"}
dcRedirectionPolicy: {policy: noop}
dynamicConfigClient: {filepath: "{{ .Dynamic }}", pollInterval: 60s}
`)))
