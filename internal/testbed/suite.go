package testbed

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Suite lets servers run for as long as all tests of a package do. Close, called
// after the tests, ends them. The zero value is ready.
type Suite struct {
	mu       sync.Mutex
	cleanups []func()
}

// For returns what to start a server with that outlives the test t.
func (s *Suite) For(tb testing.TB) testing.TB {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background()) //nolint:forbidigo // Close ends it
	outlives := &outliving{TB: tb, suite: s, ctx: ctx}
	outlives.Cleanup(cancel)
	return outlives
}

// Close ends the servers, the last that was started first. It may be called
// more than once.
func (s *Suite) Close() {
	s.mu.Lock()
	cleanups := s.cleanups
	s.cleanups = nil
	s.mu.Unlock()
	for _, f := range slices.Backward(cleanups) {
		f()
	}
}

// outliving is a test as far as its failing goes, and its suite as far as time
// goes.
type outliving struct {
	testing.TB

	suite *Suite
	ctx   context.Context //nolint:containedctx // as testing.TB has it
}

// Cleanup implements testing.TB.
func (o *outliving) Cleanup(f func()) {
	o.suite.mu.Lock()
	defer o.suite.mu.Unlock()
	o.suite.cleanups = append(o.suite.cleanups, f)
}

// Context implements testing.TB.
func (o *outliving) Context() context.Context { return o.ctx }

// TempDir implements testing.TB.
func (o *outliving) TempDir() string {
	dir, err := os.MkdirTemp("", "testbed-")
	require.NoError(o.TB, err)
	o.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Failed implements testing.TB. Whether the test has failed that started the
// server says nothing about the others.
func (o *outliving) Failed() bool { return false }

// Logf implements testing.TB, also after the test.
func (o *outliving) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
