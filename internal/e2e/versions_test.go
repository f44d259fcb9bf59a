package e2e_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	temporal "go.temporal.io/sdk/client"

	"github.com/headrace/headrace/internal/devserver"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
)

func TestABatchMovesToTheVersionThatIsMadeCurrent(t *testing.T) {
	t.Parallel()
	const n = 600
	up := sim(t, simulator.Options{Latency: latency(t, "uniform:500ms,2s")})
	c := newCluster(t, devServer(t, devserver.Options{SystemWorkers: true}), devserver.DefaultNamespace)
	doors := [2]*door{newDoor(t, up.Simulator), newDoor(t, up.Simulator)}
	deployment := c.dial().WorkerDeploymentClient().GetHandle("headrace")

	a := c.version("a", doors[0].url)
	a.await(a.stderr, `temporal worker deployment set-current-version .*--build-id a`)
	makeCurrent(t, deployment, "a")
	o := submit(t, c.url, requests(n), concurrently(laneHands))
	poll(t, "calls of the first version", func() bool { return up.Stats().Succeeded > laneHands })

	c.version("b", doors[1].url)
	makeCurrent(t, deployment, "b")
	a.signal(syscall.SIGTERM)
	require.Zero(t, a.wait())
	o = awaitEnd(t, c.url, o.ID, openai.Completed)
	requireEach(t, c.url, o, n)
	require.Positive(t, doors[1].calls.Load())
	require.EqualValues(t, n, up.Stats().Calls, "no call is made twice")
}

func TestWorkersOfTwoVersionsAreToldOf(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	c := newCluster(t, devServer(t, devserver.Options{}), devserver.DefaultNamespace)
	c.worker(up.URL())
	p := start(t, []string{"HEADRACE_WORKER_BUILD_ID=another"}, append([]string{"worker", "--upstream", up.URL()}, c.flags()...)...)
	p.await(p.stderr, `workers of other versions are at work`)
}

// version starts a worker with Worker Versioning.
func (c *cluster) version(build, upstream string) *process {
	c.t.Helper()
	env := []string{"HEADRACE_WORKER_VERSIONING=true", "HEADRACE_WORKER_BUILD_ID=" + build}
	p := start(c.t, env, append([]string{"worker", "--upstream", upstream}, c.flags()...)...)
	p.await(p.stdout, `worker is ready`)
	return p
}

// makeCurrent waits until Temporal knows a version, and makes it current.
func makeCurrent(t *testing.T, d temporal.WorkerDeploymentHandle, build string) {
	t.Helper()
	var err error
	poll(t, "version "+build, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err = d.SetCurrentVersion(ctx, temporal.WorkerDeploymentSetCurrentVersionOptions{BuildID: build})
		if err != nil {
			t.Log(err)
		}
		return err == nil
	})
}
