package simulator_test

import (
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
)

func TestControlChangesWhatItNamesAndNothingElse(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{Seed: 5, RPM: 1000, Models: []string{"a", "b"}, Faults: simulator.Faults{HTML: 0.5}})
	a := call(t, run, http.MethodPost, "/control",
		`{"latency":"uniform:1ms,2ms","faults":{"html":0,"half":0.25},"models":["c"],"api_key":"sk-x"}`)
	require.Equal(t, http.StatusOK, a.status)
	want := simulator.Options{
		Seed: 5, RPM: 1000, Models: []string{"c"}, Faults: simulator.Faults{Half: 0.25},
		Latency: latency(t, "uniform:1ms,2ms"), APIKey: "sk-x",
	}
	require.Equal(t, want, run.Options())

	want.APIKey = ""
	for _, told := range [][]byte{a.body, call(t, run, http.MethodGet, "/control", "").body} {
		var got simulator.Options
		require.NoError(t, json.Unmarshal(told, &got))
		require.Equal(t, want, got, "the options in force, less the key")
	}
}

func TestControlRefusesWhatIsNoOptionAndChangesNothing(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{Seed: 5, Models: []string{"a"}})
	for body, want := range map[string]string{
		`{"seed":6,"rmp":3}`:                           `unknown field "rmp"`,
		`{"seed":6,"faults":{"boom":1}}`:               `unknown field "boom"`,
		`{"seed":6,"rpm":-1}`:                          "rpm is -1: allowed are 0 (none) to 100000000000",
		`{"seed":6,"latency":"soon"}`:                  `"soon" is not a duration`,
		`{"seed":6,"models":["z"],"faults":{"cut":2}}`: "faults.cut is 2: allowed are 0 to 1",
		`{"seed":6} {"seed":7}`:                        "more than one JSON value",
		``:                                             "EOF",
		`{"seed":6,"faults":{"cut":0.6,"html":0.6}}`:   "faults add up to 1.2",
	} {
		a := call(t, run, http.MethodPost, "/control", body)
		require.Equal(t, http.StatusBadRequest, a.status, body)
		require.Contains(t, envelope(t, a).Message, want, body)
		require.Equal(t, simulator.Options{Seed: 5, Models: []string{"a"}}, run.Options(), body)
	}
}

func TestControlObeysItsOwnMachineOnly(t *testing.T) {
	t.Parallel()
	s := newSimulator(t, simulator.Options{})
	for _, peer := range []string{"192.0.2.1:1234", "[2001:db8::1]:1", "nonsense"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/control", strings.NewReader(`{"down":true}`))
		r.RemoteAddr = peer
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		require.Equal(t, http.StatusForbidden, w.Code, peer)
	}
	require.False(t, s.Options().Down)
}

func TestDownMeansNoAnswerAndUpAnswersAgain(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{})
	waiting := make(chan error)
	go func() {
		_, err := attempt(t, run, question("q", "sim:latency=1h"))
		waiting <- err
	}()
	require.Eventually(t, func() bool { return run.Stats().InFlight == 1 }, 10*time.Second, time.Millisecond)

	require.Equal(t, http.StatusOK, call(t, run, http.MethodPost, "/control", `{"down":true}`).status)
	require.ErrorIs(t, <-waiting, io.EOF, "calls that wait end too")
	_, err := attempt(t, run, question("q", ""))
	require.ErrorIs(t, err, io.EOF)
	_, err = send(t.Context(), client(t), run, http.MethodGet, "/v1/models", "")
	require.Error(t, err)
	require.Equal(t, http.StatusOK, call(t, run, http.MethodGet, "/stats", "").status)
	require.Equal(t, int64(2), run.Stats().Dropped)

	run.SetDown(true) // again: nothing happens
	run.SetDown(false)
	require.Equal(t, http.StatusOK, chat(t, run, question("q", "")).status)
	require.Equal(t, run.Stats().Calls, total(run.Stats()))
}

func TestASimulatorMayStartDown(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{Down: true})
	_, err := attempt(t, run, question("q", ""))
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, run.Set(simulator.Options{}))
	require.Equal(t, http.StatusOK, chat(t, run, question("q", "")).status)
}

func TestOptionsOutOfRangeAreNamed(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]simulator.Options{
		"rpm is -1":              {RPM: -1},
		"tpm is 100000000001":    {TPM: 100_000_000_001},
		"rpm_burst is -1":        {RPMBurst: -1},
		"tpm_burst is -1":        {TPMBurst: -1},
		"max_concurrency is -1":  {MaxConcurrency: -1},
		"retry_after is -1":      {RetryAfter: -1},
		"faults.error is NaN":    {Faults: simulator.Faults{Error: math.NaN()}},
		"faults.stall is -0.1":   {Faults: simulator.Faults{Stall: -0.1}},
		"latency is -1s":         {Latency: simulator.Constant(-time.Second)},
		"stream_interval is 48h": {StreamInterval: simulator.Constant(48 * time.Hour)},
	} {
		_, err := simulator.New(o)
		require.ErrorContains(t, err, want)
	}
	nine := simulator.Faults{}
	nine.Error, nine.Unavailable, nine.Quota, nine.Cut, nine.Reset = 0.2, 0.2, 0.2, 0.2, 0.2
	require.NoError(t, simulator.Options{Faults: nine}.Validate())
}

func TestOptionsAreNotSharedWithTheCaller(t *testing.T) {
	t.Parallel()
	models := []string{"a"}
	s := newSimulator(t, simulator.Options{Models: models})
	models[0] = "b"
	s.Options().Models[0] = "c"
	require.Equal(t, []string{"a"}, s.Options().Models)
	_, err := s.Answer(openai.ChatCompletions, []byte(`{"model":"a","messages":[{"role":"user","content":"x"}]}`))
	require.NoError(t, err)
}

func FuzzControl(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"seed":18446744073709551615}`, `{"latency":"exp:1s","rpm":1,"tpm":2}`, `{"faults":{"cut":1}}`, `{"models":null}`, `null`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s := newSimulator(t, simulator.Options{Seed: 1})
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/control", strings.NewReader(string(body)))
		r.RemoteAddr = "127.0.0.1:1"
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code == http.StatusOK {
			require.NoError(t, s.Options().Validate())
			return
		}
		require.Equal(t, http.StatusBadRequest, w.Code)
		require.Equal(t, simulator.Options{Seed: 1}, s.Options())
	})
}

func TestOptionsMayChangeUnderACrowd(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{Latency: latency(t, "exp:2ms")})
	done := make(chan map[int]int)
	go func() { done <- rush(t, run) }()
	var count map[int]int
	for i := 0; count == nil; i++ {
		run.SetDown(i%10 == 9)
		require.NoError(t, run.Set(simulator.Options{
			RPM: 1_000_000, MaxConcurrency: int64(400 + i%3), Latency: latency(t, "exp:2ms"), Down: run.Options().Down,
		}))
		run.Stats()
		select {
		case count = <-done:
		default:
			runtime.Gosched()
		}
	}
	stats := run.Stats()
	require.Zero(t, stats.InFlight)
	require.Equal(t, stats.Calls, total(stats))
	require.Equal(t, int64(crowd*callsEach), stats.Calls)
	require.Equal(t, int64(count[0]), stats.Dropped, "whoever got no answer found it down")
	require.Equal(t, int64(count[http.StatusOK]), stats.Succeeded)
}
