package e2e_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/simulator"
)

// closedAddress is one where nobody listens.
func closedAddress(t *testing.T) string {
	t.Helper()
	var c net.ListenConfig
	l, err := c.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// serve starts a provider of the test's own and returns its URL.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL + "/v1"
}

// interruptLimit is far below the latency of the calls that an interrupt cuts
// off, and far above the second that it should take on a machine with time.
const interruptLimit = 15 * time.Second

// interrupt interrupts a run and requires that it ends soon, says so, and logs
// no errors.
func interrupt(t *testing.T, p *process) {
	t.Helper()
	begun := time.Now()
	p.signal(syscall.SIGINT)
	require.Equal(t, 130, p.wait())
	require.Less(t, time.Since(begun), interruptLimit)
	require.Contains(t, p.stderr.String(), "Interrupted: ")
	require.NotContains(t, p.stderr.String(), "level=")
}

// TestAnInterruptedRunGoesOnWithoutRepeatingWhatIsFinished makes calls slow once
// some have finished, so that those in flight are never answered.
func TestAnInterruptedRunGoesOnWithoutRepeatingWhatIsFinished(t *testing.T) {
	t.Parallel()
	const n, hands = 200, 4
	up := sim(t, simulator.Options{Latency: latency(t, "20ms")})
	j := newJob(t, requests(n))
	p := j.run(t, up.URL(), "--max-concurrency", "4")
	eventually(t, func() bool { return up.Stats().Succeeded >= 20 }, "calls do not succeed")
	require.NoError(t, up.Set(simulator.Options{Latency: latency(t, "10m")}))
	eventually(t, func() bool {
		s := up.Stats()
		return s.InFlight == hands && time.Since(*s.LastArrival) > 500*time.Millisecond
	}, "calls do not hang")
	interrupt(t, p)
	finished := up.Stats().Succeeded
	require.Contains(t, p.stderr.String(), "Run the same command again to go on.")
	require.NoFileExists(t, j.output)
	requireTidy(t, j)

	require.NoError(t, up.Set(simulator.Options{}))
	again := j.run(t, up.URL(), "--max-concurrency", "4")
	require.Equal(t, 0, again.wait())
	require.Contains(t, again.stderr.String(), "Going on with batch_")
	require.Len(t, resultsOf(t, read(t, j.output)), n)
	s := up.Stats()
	require.Zero(t, s.DuplicateSuccesses)
	require.Equal(t, map[int64]int64{1: n - hands, 2: hands}, s.CallsPerBody, "only calls in flight are made again")
	require.Equal(t, int64(n), s.Succeeded)
	require.GreaterOrEqual(t, finished, int64(20))
}

func TestASecondRunInTheSameFolderIsRefused(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{Latency: latency(t, "10m")})
	j := newJob(t, requests(1))
	first := j.run(t, up.URL())
	eventually(t, func() bool { return up.Stats().InFlight == 1 }, "no call begins")
	second := newJob(t, requests(1))
	second.data = j.data
	p := second.run(t, up.URL())
	require.Equal(t, 1, p.wait())
	require.Contains(t, p.stderr.String(), "is in use by process ")
	interrupt(t, first)
}

func TestARunWaitsForAProviderThatCannotBeReached(t *testing.T) {
	t.Parallel()
	address := closedAddress(t)
	j := newJob(t, requests(20))
	p := j.run(t, "http://"+address+"/v1")
	p.await(p.stderr, `waiting for the provider, which cannot be reached: .*connection refused`)
	interrupt(t, p)

	p = j.run(t, "http://"+address+"/v1")
	p.await(p.stderr, `which cannot be reached`)
	up, err := simulator.Start(context.Background(), address, simulator.Options{}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer func() { require.NoError(t, up.Stop(context.Background())) }()
	require.Equal(t, 0, p.wait())
	require.Equal(t, int64(20), up.Stats().Calls, "nothing is called twice")
}

func TestARunIsHeldWhileTheKeyIsRefused(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{APIKey: "sk-right"})
	j := newJob(t, requests(20))
	p := start(t, []string{"OPENAI_API_KEY=sk-wrong"}, "run", j.input, "-o", j.output, "--data", j.data, "--upstream", up.URL())
	said := p.await(p.stderr, `held: the provider refuses the key: (.*)`)
	require.Contains(t, said, "Incorrect API key")
	require.NotContains(t, p.stderr.String(), "sk-wrong")
	interrupt(t, p)
	require.Zero(t, up.Stats().Succeeded)

	right := start(t, []string{"OPENAI_API_KEY=sk-right"}, "run", j.input, "-o", j.output, "--data", j.data, "--upstream", up.URL())
	require.Equal(t, 0, right.wait())
	require.Contains(t, right.stderr.String(), "Going on with batch_", "no request has failed for the key")
	require.Len(t, resultsOf(t, read(t, j.output)), 20)
}

func TestARunIsHeldWhileTheQuotaIsUsedUp(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{Faults: simulator.Faults{Quota: 1}})
	j := newJob(t, requests(20))
	p := j.run(t, up.URL())
	p.await(p.stderr, `held: the provider's quota is used up: .+`)
	require.NoError(t, up.Set(simulator.Options{}))
	require.Equal(t, 0, p.wait(), "it goes on by itself")
	require.Equal(t, int64(20), up.Stats().Succeeded)
}

// TestBrokenAnswersAreTriedAgain has each fault befall one request, once.
func TestBrokenAnswersAreTriedAgain(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	faults := []string{"half", "html", "html;status=502", "cut", "reset", "middle", "status=500", "status=408", "status=409", "status=503"}
	var input strings.Builder
	for _, fault := range faults {
		input.WriteString(request(fault, "Broken", `,"user":"sim:`+fault+`;fail=1"`) + "\n")
	}
	j := newJob(t, input.String())
	p := j.run(t, up.URL())
	require.Equal(t, 0, p.wait())
	require.Equal(t, faults, ids(t, read(t, j.output)))
	require.Equal(t, map[int64]int64{2: int64(len(faults))}, up.Stats().CallsPerBody)
}

func TestALargeAnswerIsKeptWhole(t *testing.T) {
	t.Parallel()
	const size = 30 << 20
	up := sim(t, simulator.Options{})
	j := newJob(t, request("small", "Size", "")+"\n"+request("large", "Size", `,"user":"sim:bytes=31457280"`)+"\n"+request("after", "Size 2", "")+"\n")
	require.Equal(t, 0, j.run(t, up.URL()).wait())
	all := resultsOf(t, read(t, j.output))
	require.Equal(t, []string{"small", "large", "after"}, []string{all[0].CustomID, all[1].CustomID, all[2].CustomID})
	require.Len(t, all[1].Response.Body, size)
	require.Equal(t, int64(3), up.Stats().Calls)
}

func TestARunWaitsForAServerThatIsRestarted(t *testing.T) {
	t.Parallel()
	const n = 100
	up := sim(t, simulator.Options{Latency: latency(t, "20ms")})
	dir, address := t.TempDir(), closedAddress(t)
	server, url := dev(t, dir, up.URL(), "--listen", address)
	j := newJob(t, requests(n))
	p := start(t, nil, "run", j.input, "-o", j.output, "--server", url, "--max-concurrency", "2")
	eventually(t, func() bool { return up.Stats().Succeeded >= 10 }, "calls do not succeed")
	server.kill()
	p.await(p.stderr, "waiting for the server: .*connection refused")
	dev(t, dir, up.URL(), "--listen", address)
	require.Equal(t, 0, p.wait())
	require.Len(t, resultsOf(t, read(t, j.output)), n)
	require.Equal(t, int64(n), up.Stats().DistinctBodies)
}
