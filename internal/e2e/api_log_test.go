package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/simulator"
)

// TestWhatUsersMayDoIsNoErrorInTheLog does several things that are in order and
// end badly for requests, batches or clients.
func TestWhatUsersMayDoIsNoErrorInTheLog(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	p, url := dev(t, t.TempDir(), up.URL())
	s := &system{url: url, upstream: up}
	slow := s.upload(t, request("slow", "Quiet", `,"user":"sim:latency=60s"`)+"\n")

	full := strings.Replace(pairs(16), `"k0":"v"`, fmt.Sprintf(`"k":"%s"`, strings.Repeat("é", 512)), 1)
	full = strings.ReplaceAll(full, `"v"`, `"`+strings.Repeat("v", 512)+`"`)
	id := s.create(t, slow, `,"metadata":`+full)
	eventually(t, func() bool { return up.Stats().InFlight == 1 }, "no call begins")
	s.send(t, http.MethodPost, "/v1/batches/"+id+"/cancel", `{"headrace":{"abort":true}}`)
	s.until(t, id, "cancelled")
	require.Equal(t, "failed", s.process(t, "nonsense\n")["status"])
	require.Equal(t, "completed", s.process(t, request("bad", "Quiet", `,"user":"sim:status=400"`)+"\n")["status"])
	s.send(t, http.MethodGet, "/v1/batches/"+unknownBatch, "")
	require.Empty(t, p.stderr.String())
}
