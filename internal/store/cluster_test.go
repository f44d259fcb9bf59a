//go:build cluster

package store_test

import (
	"crypto/rand"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/testbed"
)

// The S3 server of all tests, as there is one bucket for all of a company.
var (
	server      *testbed.VersityGW
	startServer sync.Once
)

func init() { kinds["s3"] = setupS3 }

// s3 returns the server, which runs as long as the tests of the package do.
func s3(t *testing.T) *testbed.VersityGW {
	t.Helper()
	startServer.Do(func() {
		var suite testbed.Suite
		atEnd = suite.Close
		server = testbed.StartVersityGW(suite.For(t))
		for _, variable := range server.Env() {
			name, value, _ := strings.Cut(variable, "=")
			require.NoError(t, os.Setenv(name, value)) //nolint:usetesting // for all tests, which are parallel
		}
	})
	require.NotNil(t, server, "the S3 server did not start")
	return server
}

func setupS3(t *testing.T, o store.Options) *testBundle {
	t.Helper()
	location := s3(t).URL(rand.Text())
	return opened(t, &testBundle{options: o, reopen: func(t *testing.T, o store.Options) *store.Store {
		t.Helper()
		return openWith(t, location, o)
	}})
}
