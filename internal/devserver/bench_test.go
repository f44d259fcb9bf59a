//go:build unix

package devserver_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"golang.org/x/sync/errgroup"

	"github.com/headrace/headrace/internal/devserver"
)

// The environment of a measurement: settings to leave out, separated by commas
// (see Tuning.Without), a pragma to change, another number of shards. It is how
// the table of the decision record was made:
//
//	go test ./internal/devserver -run '^$' -bench . -benchtime 3s
//	HEADRACE_WITHOUT=indexes go test ./internal/devserver -run '^$' -bench . -benchtime 3s
const (
	withoutEnv = "HEADRACE_WITHOUT"
	pragmaEnv  = "HEADRACE_PRAGMA" // name=value
	shardsEnv  = "HEADRACE_SHARDS"
)

func benchTuning() devserver.Tuning {
	t := devserver.Tuned()
	if names := os.Getenv(withoutEnv); names != "" {
		t = t.Without(strings.Split(names, ",")...)
	}
	if k, v, ok := strings.Cut(os.Getenv(pragmaEnv), "="); ok {
		t = t.WithPragma(k, v)
	}
	if n, err := strconv.Atoi(os.Getenv(shardsEnv)); err == nil {
		t = t.WithShards(int32(n))
	}
	return t
}

// benchServer starts a server, a client and a worker in this process, as
// headrace dev has them.
func benchServer(b *testing.B) client.Client {
	b.Helper()
	s, err := devserver.StartWith(b.Context(), devserver.Options{Dir: b.TempDir()}, benchTuning())
	require.NoError(b, err)
	b.Cleanup(s.Stop)
	c := dial(b, s)
	w := worker.New(c, queue, worker.Options{})
	register(w)
	w.RegisterWorkflow(beating)
	w.RegisterActivityWithOptions(beater{c}.beat, activity.RegisterOptions{Name: "beat"})
	require.NoError(b, w.Start())
	b.Cleanup(w.Stop)
	return c
}

// each calls f b.N times, n at a time, and reports how long the calls took and
// what they cost.
func each(b *testing.B, n int, f func(i int) error) {
	b.Helper()
	took := make([]time.Duration, b.N)
	var next atomic.Int64
	var g errgroup.Group
	cpu, start := cpuTime(b), time.Now()
	b.ResetTimer()
	for range n {
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= b.N {
					return nil
				}
				start := time.Now()
				if err := f(i); err != nil {
					return err
				}
				took[i] = time.Since(start)
			}
		})
	}
	require.NoError(b, g.Wait())
	b.StopTimer()
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "/s")
	b.ReportMetric(milliseconds((cpuTime(b)-cpu)/time.Duration(b.N)), "cpu-ms/op")
	percentiles(b, took)
}

func percentiles(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	b.ReportMetric(milliseconds(took[len(took)/2]), "p50-ms")
	b.ReportMetric(milliseconds(took[len(took)*99/100]), "p99-ms")
	b.ReportMetric(0, "ns/op")
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// cpuTime is what the process has used: server, client and worker together.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkStart(b *testing.B) {
	for _, kind := range []string{"new", "existing"} {
		b.Run(kind, func(b *testing.B) {
			dir := b.TempDir()
			took := make([]time.Duration, b.N)
			var stopping time.Duration
			for i := range b.N {
				if kind == "new" {
					dir = filepath.Join(b.TempDir(), "data")
				}
				start := time.Now()
				s, err := devserver.StartWith(b.Context(), devserver.Options{Dir: dir}, benchTuning())
				require.NoError(b, err)
				took[i] = time.Since(start)
				start = time.Now()
				s.Stop()
				stopping += time.Since(start)
			}
			b.ReportMetric(milliseconds(stopping/time.Duration(b.N)), "stop-ms")
			percentiles(b, took)
		})
	}
}

func concurrently(b *testing.B, callers []int, f func(b *testing.B, c client.Client) func(i int) error) {
	b.Helper()
	for _, n := range callers {
		b.Run(strconv.Itoa(n), func(b *testing.B) { each(b, n, f(b, benchServer(b))) })
	}
}

func BenchmarkWorkflowStart(b *testing.B) {
	concurrently(b, []int{1, 8}, func(b *testing.B, c client.Client) func(int) error {
		b.Helper()
		return func(i int) error {
			_, err := c.ExecuteWorkflow(b.Context(), startOptions(i), nothing)
			return err
		}
	})
}

// BenchmarkEcho measures a workflow of one activity from its start to its result.
func BenchmarkEcho(b *testing.B) {
	concurrently(b, []int{1, 8}, func(b *testing.B, c client.Client) func(int) error {
		b.Helper()
		return func(i int) error {
			run, err := c.ExecuteWorkflow(b.Context(), startOptions(i), echo, "hello")
			if err != nil {
				return err
			}
			return run.Get(b.Context(), nil)
		}
	})
}

// BenchmarkUpdate measures updates of one workflow, continuing as new now and
// then.
func BenchmarkUpdate(b *testing.B) {
	concurrently(b, []int{1, 4, 16}, func(b *testing.B, c client.Client) func(int) error {
		b.Helper()
		execute(b, c, "ledger", ledger, 0)
		return func(int) error {
			_, err := lease(b.Context(), c, "ledger")
			return err
		}
	})
}

// BenchmarkTimer measures a workflow of one timer of 10 ms.
func BenchmarkTimer(b *testing.B) {
	concurrently(b, []int{1}, func(b *testing.B, c client.Client) func(int) error {
		b.Helper()
		return func(i int) error {
			run, err := c.ExecuteWorkflow(b.Context(), startOptions(i), nap, 10*time.Millisecond)
			if err != nil {
				return err
			}
			return run.Get(b.Context(), nil)
		}
	})
}

// BenchmarkDescribe measures the most that the frontend lets through.
func BenchmarkDescribe(b *testing.B) {
	concurrently(b, []int{16}, func(b *testing.B, c client.Client) func(int) error {
		b.Helper()
		execute(b, c, "described", nap, time.Hour)
		return func(int) error {
			_, err := c.DescribeWorkflowExecution(b.Context(), "described", "")
			return err
		}
	})
}

// BenchmarkHeartbeat measures a heartbeat that is sent at once.
func BenchmarkHeartbeat(b *testing.B) {
	c := benchServer(b)
	var took []time.Duration
	require.NoError(b, execute(b, c, "beating", beating, b.N).Get(b.Context(), &took))
	percentiles(b, took)
}

func beating(ctx workflow.Context, n int) ([]time.Duration, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: time.Hour, HeartbeatTimeout: 10 * time.Second,
	})
	var r []time.Duration
	err := workflow.ExecuteActivity(ctx, "beat", n).Get(ctx, &r)
	return r, err
}

type beater struct{ c client.Client }

func (b beater) beat(ctx context.Context, n int) ([]time.Duration, error) {
	took := make([]time.Duration, 0, n)
	for range n {
		start := time.Now()
		if err := b.c.RecordActivityHeartbeat(ctx, activity.GetInfo(ctx).TaskToken); err != nil {
			return nil, err
		}
		took = append(took, time.Since(start))
	}
	return took, nil
}

// BenchmarkMemory measures the resident memory that is not the program itself,
// at the start and after b.N operations. Run it with -benchtime 20000x.
func BenchmarkMemory(b *testing.B) {
	b.Run("echo", func(b *testing.B) {
		c := benchServer(b)
		b.ReportMetric(residentMiB(b), "MiB-at-first")
		each(b, 16, func(i int) error {
			run, err := c.ExecuteWorkflow(b.Context(), startOptions(i), echo, "hello")
			if err != nil {
				return err
			}
			return run.Get(b.Context(), nil)
		})
		b.ReportMetric(residentMiB(b), "MiB-at-last")
	})
	b.Run("update", func(b *testing.B) {
		c := benchServer(b)
		execute(b, c, "ledger", ledger, 0)
		b.ReportMetric(residentMiB(b), "MiB-at-first")
		each(b, 4, func(int) error {
			_, err := lease(b.Context(), c, "ledger")
			return err
		})
		b.ReportMetric(residentMiB(b), "MiB-at-last")
	})
}

// residentMiB reads Linux's figure for anonymous memory, 0 elsewhere.
func residentMiB(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kib, err := strconv.Atoi(strings.Fields(rest)[0])
			require.NoError(b, err)
			return float64(kib) / 1024
		}
	}
	return 0
}

// BenchmarkIdle measures the CPU that a server with a polling worker uses when
// nothing happens for b.N seconds. Run it with -benchtime 20x.
func BenchmarkIdle(b *testing.B) {
	benchServer(b)
	cpu := cpuTime(b)
	<-time.After(time.Duration(b.N) * time.Second)
	b.ReportMetric(100*(cpuTime(b)-cpu).Seconds()/float64(b.N), "%-of-a-core")
	b.ReportMetric(0, "ns/op")
}

func startOptions(i int) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{ID: fmt.Sprintf("run-%d", i), TaskQueue: queue}
}
