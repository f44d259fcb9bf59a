package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Bounds of waits.
const (
	// patience is for what should happen soon.
	patience = time.Minute
	// limit is for a whole load; nothing here takes nearly as long.
	limit = 10 * time.Minute
)

// process is a child of this one. It ends with the context that it was started
// with, at the latest.
type process struct {
	name   string
	cmd    *exec.Cmd
	begun  time.Time
	ended  time.Time     // once exited is closed
	err    error         // why it ended, then
	exited chan struct{} // closed when it has ended
	line   *firstLine
	tail   *tail
}

// start starts a program, with extra added to an environment without settings
// of a provider.
func start(ctx context.Context, extra []string, program string, args ...string) (*process, error) {
	p := &process{
		name: filepath.Base(program) + " " + strings.Join(args[:min(1, len(args))], " "), cmd: exec.CommandContext(ctx, program, args...),
		exited: make(chan struct{}), line: &firstLine{line: make(chan string, 1)}, tail: &tail{},
	}
	p.cmd.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "OPENAI_") }), extra...)
	p.cmd.Stdout, p.cmd.Stderr = p.line, p.tail
	p.begun = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		p.ended = time.Now()
		close(p.exited)
	}()
	return p, nil
}

// kill kills the process and waits until it is gone. It may be called more than
// once.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.exited
}

// stop asks the process to end, and kills it if it does not.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(patience / 2):
		p.kill()
	}
}

// wait waits until the process has ended by itself and well, and returns how
// long it lived.
func (p *process) wait() (time.Duration, error) {
	select {
	case <-p.exited:
	case <-time.After(limit):
		p.kill()
		return 0, p.failure("does not end")
	}
	if p.err != nil {
		return 0, p.failure("ended: " + p.err.Error())
	}
	return p.ended.Sub(p.begun), nil
}

// spent is the time that the process has had on processors, once it has ended.
func (p *process) spent() time.Duration {
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}

// announced waits for the first line on standard output.
func (p *process) announced() (string, error) {
	select {
	case line := <-p.line.line:
		return line, nil
	case <-p.exited:
		select { // it may have been quick
		case line := <-p.line.line:
			return line, nil
		default:
			return "", p.failure("ended without a word")
		}
	case <-time.After(patience):
		return "", p.failure("says nothing")
	}
}

// spentSoFar is the time that the process has had on processors. Only Linux has
// it, in hundredths of a second.
func (p *process) spentSoFar() (time.Duration, error) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "stat"))
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may hold spaces; user and system time are the
	// twelfth and thirteenth field after it.
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	const user, system, tick = 11, 12, 10 * time.Millisecond
	if len(fields) <= system {
		return 0, errors.New(p.name + " has no times")
	}
	a, errUser := strconv.ParseInt(fields[user], 10, 64)
	b, errSystem := strconv.ParseInt(fields[system], 10, 64)
	return time.Duration(a+b) * tick, errors.Join(errUser, errSystem)
}

func (p *process) failure(what string) error {
	return fmt.Errorf("%s %s; its standard error ends: %s", p.name, what, p.tail)
}

// Fields of /proc/PID/status.
const (
	residentNow  = "VmRSS"
	residentPeak = "VmHWM"
)

// memory reads a field of the process's status, in bytes. Only Linux has it.
func (p *process) memory(field string) (float64, error) {
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "status"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, found := strings.CutPrefix(line, field+":"); found {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			return kib * 1024, err
		}
	}
	return 0, errors.New(p.name + " has no " + field)
}

// firstLine hands over the first line that is written to it and drops the rest.
type firstLine struct {
	buf  []byte
	line chan string
	done bool
}

// Write implements io.Writer.
func (f *firstLine) Write(b []byte) (int, error) {
	if f.done {
		return len(b), nil
	}
	f.buf = append(f.buf, b...)
	if i := bytes.IndexByte(f.buf, '\n'); i >= 0 {
		f.line <- string(f.buf[:i])
		f.done = true
	}
	return len(b), nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	const most = 4000
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	t.buf = t.buf[max(0, len(t.buf)-most):]
	return len(b), nil
}

// String returns what is kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}

// often is the time between two questions where milliseconds count.
const often = 2 * time.Millisecond

// until asks often, until the answer is yes.
func until(ctx context.Context, what string, yes func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(often)
	defer ticker.Stop()
	for {
		ok, err := yes()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited in vain until %s: %w", what, ctx.Err())
		case <-ticker.C:
		}
	}
}
