//go:build !cluster

package e2e_test

import (
	"testing"

	"github.com/headrace/headrace/internal/devserver"
	"github.com/headrace/headrace/internal/simulator"
)

// onCluster says that what tests share runs on a real Temporal, a real database
// and an object store.
const onCluster = false

// ground is a Temporal and a store that no other test uses.
func ground(t *testing.T) *cluster {
	t.Helper()
	return &cluster{t: t, temporal: devServer(t, devserver.Options{}), namespace: devserver.DefaultNamespace, store: t.TempDir()}
}

// startShared starts the system that tests share: all of it in one process.
func startShared(t *testing.T, up *simulator.Running) {
	t.Helper()
	p := launch(t, common.dir, nil,
		"dev", "--listen", "127.0.0.1:0", "--temporal-port", "0", "--ui-port", "0", "--data", common.dir, "--upstream", up.URL())
	common.processes = []*process{p}
	common.system = &system{url: p.await(p.stdout, `API (http://\S+)/v1`), upstream: up}
}

// stopBed is for tests on a cluster.
func stopBed() {}
