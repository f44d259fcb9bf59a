package testbed

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// process is a server that runs.
type process struct {
	cmd    *exec.Cmd
	output *tail
	done   chan struct{} // closed when it has ended
}

// run starts a server, which is killed when the test ends. If the test has
// failed by then, the end of what the server has printed is logged.
func run(tb testing.TB, cmd *exec.Cmd) *process {
	tb.Helper()
	p := &process{cmd: cmd, output: &tail{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.output, p.output
	require.NoError(tb, cmd.Start())
	go func() {
		defer close(p.done)
		_ = cmd.Wait()
	}()
	tb.Cleanup(func() {
		p.kill()
		if tb.Failed() {
			tb.Logf("%s said at last:\n%s", cmd.Path, p.output)
		}
	})
	return p
}

// kill ends the server, with no chance to tidy up. It may be called more than
// once.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// end sends a signal and waits until the server has ended.
func (p *process) end(tb testing.TB, signal os.Signal) {
	tb.Helper()
	require.NoError(tb, p.cmd.Process.Signal(signal))
	<-p.done
}

// awaitReady waits until ready returns nil, and fails the test if the server ends
// or a minute passes.
func (p *process) awaitReady(tb testing.TB, ready func() error) {
	tb.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	for {
		err := ready()
		if err == nil {
			return
		}
		pause := time.NewTimer(50 * time.Millisecond)
		select {
		case <-pause.C:
		case <-p.done:
			require.Fail(tb, "the server has ended", "%s: %s", p.cmd.Path, p.output)
		case <-deadline.C:
			require.Fail(tb, "the server is not ready", "%s: %v: %s", p.cmd.Path, err, p.output)
		}
		pause.Stop()
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	data []byte
}

// tailSize is how much is kept.
const tailSize = 16 << 10

// Write implements io.Writer.
func (o *tail) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.data = append(o.data, p...)
	o.data = bytes.Clone(o.data[max(len(o.data)-tailSize, 0):])
	return len(p), nil
}

// String implements fmt.Stringer.
func (o *tail) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.data)
}

// freeAddress returns an address on which nobody listens at the moment.
func freeAddress(tb testing.TB) string {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
