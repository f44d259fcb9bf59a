package main

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/headrace/headrace/api"
	"github.com/headrace/headrace/internal/runner"
)

// Bounds of what may be asked of one process.
const (
	mostTaskCalls  = 100_000
	smallestBody   = 1 << 10
	largestMaxBody = 1 << 30
)

// addConcurrency adds the flag that bounds the calls of tasks.
func addConcurrency(fs *pflag.FlagSet, n *int) {
	fs.IntVar(n, "task-concurrency", runner.DefaultConcurrency, "the most calls of tasks in flight at once in this process")
}

// addMaxBody adds the flag that bounds the bodies of requests that make calls.
func addMaxBody(fs *pflag.FlagSet, n *int64) {
	fs.Int64Var(n, "max-body", api.DefaultMaxBody, "the largest body of a request that makes calls, in bytes")
}

func checkConcurrency(n int) error {
	if n < 1 || n > mostTaskCalls {
		return usageError{fmt.Errorf("--task-concurrency %d: expected 1 to %d", n, mostTaskCalls)}
	}
	return nil
}

func checkMaxBody(n int64) error {
	if n < smallestBody || n > largestMaxBody {
		return usageError{fmt.Errorf("--max-body %d: expected %d to %d bytes", n, smallestBody, largestMaxBody)}
	}
	return nil
}
