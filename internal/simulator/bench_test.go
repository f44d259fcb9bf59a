package simulator_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
)

// Sizes of the benchmarks against a trivial server.
const (
	benchClients = 64
	benchRound   = 100 // calls of a client to one server before the other's turn
)

// BenchmarkAgainstTrivialByHTTPClient compares a simulator, counting on, with a
// server that reads the body and writes 600 constant bytes, over loopback, in
// turns. It reports the CPU time of a call, client and server together, and the
// ratios of CPU and wall time.
func BenchmarkAgainstTrivialByHTTPClient(b *testing.B) {
	compare(b, func(b *testing.B, addr string) caller {
		b.Helper()
		c := client(b)
		url := "http://" + addr + string(openai.ChatCompletions)
		return func(body string) error { return postHTTP(b, c, url, body) }
	})
}

// BenchmarkAgainstTrivialByBareConnection does the same with a client that does
// as little as possible, so that the difference is the servers'.
func BenchmarkAgainstTrivialByBareConnection(b *testing.B) {
	compare(b, func(b *testing.B, addr string) caller {
		b.Helper()
		var dialer net.Dialer
		conn, err := dialer.DialContext(b.Context(), "tcp", addr)
		require.NoError(b, err)
		b.Cleanup(func() { _ = conn.Close() })
		bare := &bareClient{conn: conn, r: bufio.NewReader(conn)}
		return bare.post
	})
}

// caller makes one chat completion and reads its answer.
type caller func(body string) error

func compare(b *testing.B, dial func(*testing.B, string) caller) {
	b.Helper()
	var sides [2]side
	sides[0].start(b, trivialServer(b), dial)
	sides[1].start(b, start(b, simulator.Options{}).Addr().String(), dial)
	for i := range sides {
		sides[i].round(b) // opens the connections
		sides[i].cpu, sides[i].wall, sides[i].calls = 0, 0, 0
	}
	for b.Loop() {
		sides[0].round(b)
		sides[1].round(b)
	}
	trivial, sim := sides[0], sides[1]
	b.ReportMetric(float64(trivial.cpu)/float64(trivial.calls), "trivial-cpu-ns/call")
	b.ReportMetric(float64(sim.cpu)/float64(sim.calls), "sim-cpu-ns/call")
	b.ReportMetric(float64(sim.cpu)/float64(trivial.cpu), "cpu-ratio")
	b.ReportMetric(float64(sim.wall)/float64(trivial.wall), "wall-ratio")
}

// side is one of the servers that are compared, and what it cost.
type side struct {
	callers   []caller
	cpu, wall time.Duration
	calls     int
	bodies    int // numbers the bodies, so that all differ
}

func (s *side) start(b *testing.B, addr string, dial func(*testing.B, string) caller) {
	b.Helper()
	for range benchClients {
		s.callers = append(s.callers, dial(b, addr))
	}
}

func (s *side) round(b *testing.B) {
	b.Helper()
	cpu, wall := cpuTime(b), time.Now()
	var wg sync.WaitGroup
	for i, call := range s.callers {
		first := s.bodies + i*benchRound
		wg.Go(func() {
			for j := range benchRound {
				if err := call(benchBody(first + j)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	s.cpu += cpuTime(b) - cpu
	s.wall += time.Since(wall)
	s.calls += len(s.callers) * benchRound
	s.bodies += len(s.callers) * benchRound
}

func benchBody(i int) string {
	return `{"model":"gpt-4o-mini","messages":[{"role":"system","content":"You are terse."},{"role":"user","content":"Question number ` +
		strconv.Itoa(i) + ` of many: what is a headrace?"}],"temperature":0}`
}

// cpuTime returns the CPU time that the process has used.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func trivialServer(b *testing.B) string {
	b.Helper()
	answer := []byte(`{"text":"` + string(bytes.Repeat([]byte("x"), 589)) + `"}`)
	require.Len(b, answer, 600)
	var config net.ListenConfig
	listener, err := config.Listen(b.Context(), "tcp", "127.0.0.1:0")
	require.NoError(b, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	}), ReadHeaderTimeout: 0} // as in Start
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	b.Cleanup(func() {
		_ = server.Close()
		serving.Wait()
	})
	return listener.Addr().String()
}

func postHTTP(b *testing.B, c *http.Client, url, body string) error {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	resp, err := c.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// bareClient speaks just enough HTTP for the benchmarks.
type bareClient struct {
	conn net.Conn
	r    *bufio.Reader
	buf  []byte
}

func (c *bareClient) post(body string) error {
	c.buf = append(c.buf[:0], "POST "+openai.ChatCompletions+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "...)
	c.buf = strconv.AppendInt(c.buf, int64(len(body)), 10)
	c.buf = append(append(c.buf, "\r\n\r\n"...), body...)
	if _, err := c.conn.Write(c.buf); err != nil {
		return err
	}
	status, err := c.r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 200 ")) {
		return fmt.Errorf("status line %q", status)
	}
	size := 0
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) == len("\r\n") {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if size, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
	_, err = c.r.Discard(size)
	return err
}

// discard is a ResponseWriter that keeps nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
func (d discard) FlushError() error           { return nil }

// BenchmarkHandler is one call without a network, for each endpoint.
func BenchmarkHandler(b *testing.B) {
	for _, e := range openai.Endpoints() {
		b.Run(e.Title(), func(b *testing.B) {
			s := newSimulator(b, simulator.Options{})
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				number := strconv.Itoa(i)
				body := []byte(`{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Question ` + number +
					`: what is a headrace?"}],"input":"` + number + `","prompt":"` + number + `","encoding_format":"base64"}`)
				r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, string(e), bytes.NewReader(body))
				require.NoError(b, err)
				s.ServeHTTP(discard{make(http.Header)}, r)
			}
			require.Equal(b, s.Stats().Calls, s.Stats().Succeeded)
		})
	}
}

// BenchmarkStatsOfAMillionBodies is the cost of GET /stats in a long run.
func BenchmarkStatsOfAMillionBodies(b *testing.B) {
	s := newSimulator(b, simulator.Options{})
	s.SeeBodies(1_000_000)
	for b.Loop() {
		_ = s.Stats()
	}
}
