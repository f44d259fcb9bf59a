package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/simulator"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "headrace-e2e")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	defer stopShared()
	defer stopBed()
	binary = filepath.Join(dir, "headrace")
	build := exec.Command("go", "build", "-o", binary, "github.com/headrace/headrace/cmd/headrace")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		panic(fmt.Sprintf("build headrace: %v", err))
	}
	return m.Run()
}

// patience bounds every wait for something that should happen soon. It is long
// because machines that run tests are busy; nothing waits for it to pass.
const patience = time.Minute

// process is a running headrace.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	exited chan struct{} // closed when the process has ended
	code   int           // its exit code, then
	stderr *output
	stdout *output
}

// start starts headrace with the given arguments in an environment without
// provider settings, plus env. The test's end kills it.
func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := launch(t, t.TempDir(), env, args...)
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("headrace %s\nstdout:\n%s\nstderr:\n%s", strings.Join(args, " "), tail(p.stdout), tail(p.stderr))
		}
	})
	return p
}

// launch starts headrace in dir, to run until somebody kills it.
func launch(t *testing.T, dir string, env []string, args ...string) *process {
	t.Helper()
	if onCluster && (args[0] == "dev" || args[0] == "run" && !slices.Contains(args, "--server")) {
		t.Skip("it is about the embedded Temporal")
	}
	p := &process{t: t, cmd: exec.Command(binary, args...), exited: make(chan struct{}), stderr: newOutput(), stdout: newOutput()}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir}, env...)
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	p.cmd.Dir = dir
	require.NoError(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait()
		p.code = p.cmd.ProcessState.ExitCode()
		close(p.exited)
	}()
	return p
}

func tail(o *output) string {
	const most = 4000
	s := o.String()
	return s[max(0, len(s)-most):]
}

// kill kills the process at once and waits until it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.exited
}

// signal sends a signal.
func (p *process) signal(s syscall.Signal) { require.NoError(p.t, p.cmd.Process.Signal(s)) }

// wait waits until the process has ended by itself and returns its exit code.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.code
	case <-time.After(3 * patience):
		require.Fail(p.t, "headrace does not end")
		return -1
	}
}

// output keeps what a process prints and lets tests wait for it.
type output struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	changed chan struct{}
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
	return o.buf.Write(p)
}

// String returns all of it so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// await waits until pattern is printed, and returns its first group.
func (p *process) await(o *output, pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(patience)
	for {
		o.mu.Lock()
		match, changed := re.FindStringSubmatch(o.buf.String()), o.changed
		o.mu.Unlock()
		if match != nil {
			return match[len(match)-1]
		}
		select {
		case <-changed:
		case <-p.exited:
			if re.FindString(o.String()) != "" {
				continue
			}
			require.Failf(p.t, "headrace has ended", "code %d, before it printed %q", p.code, pattern)
		case <-deadline:
			require.Failf(p.t, "headrace prints something else", "expected %q", pattern)
		}
	}
}

// dev starts all of headrace on free ports, with its data in dir, and returns
// the URL of its API, without /v1. Without an upstream, more says where calls go.
func dev(t *testing.T, dir, upstream string, more ...string) (*process, string) {
	t.Helper()
	args := append([]string{"dev", "--listen", "127.0.0.1:0", "--temporal-port", "0", "--ui-port", "0", "--data", dir}, more...)
	if upstream != "" {
		args = append(args, "--upstream", upstream)
	}
	p := start(t, nil, args...)
	return p, p.await(p.stdout, `API (http://\S+)/v1`)
}

// sim starts a simulated provider in this process, so that it outlives the
// headrace that is killed.
func sim(t *testing.T, o simulator.Options) *simulator.Running {
	t.Helper()
	s, err := simulator.Start(context.Background(), "127.0.0.1:0", o, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
	return s
}

// latency is one that must parse.
func latency(t *testing.T, s string) simulator.Latency {
	t.Helper()
	l, err := simulator.ParseLatency(s)
	require.NoError(t, err)
	return l
}

// request is one line of a batch of chat completions. extra is put into its
// body, with a comma before it.
func request(id, prompt, extra string) string {
	return fmt.Sprintf(`{"custom_id":%q,"method":"POST","url":"/v1/chat/completions","body":{"model":"gpt-4o-mini","messages":[{"role":"user","content":%q}]%s}}`,
		id, prompt, extra)
}

// requests is a batch of n lines whose ids are "r-1", "r-2" and so on.
func requests(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(request(fmt.Sprintf("r-%d", i+1), fmt.Sprintf("Question number %d?", i+1), ""))
		b.WriteByte('\n')
	}
	return b.String()
}

// write puts content into a new file of the given name and returns its path.
func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// lines are those of r.
func lines(t *testing.T, r io.Reader) []string {
	t.Helper()
	var all []string
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 64<<20)
	for scanner.Scan() {
		all = append(all, scanner.Text())
	}
	require.NoError(t, scanner.Err())
	return all
}
