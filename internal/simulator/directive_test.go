package simulator_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
)

func TestADirectiveSetsTheStatus(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{})
	for directive, want := range map[string]struct {
		status          int
		kind, code      string
		header, content string
	}{
		"sim:status=500":                                 {500, "server_error", "", "", ""},
		"sim:status=503":                                 {503, "service_unavailable_error", "server_is_overloaded", "", ""},
		"sim:status=400":                                 {400, "invalid_request_error", "", "", ""},
		"sim:status=401":                                 {401, "invalid_request_error", "invalid_api_key", "", ""},
		"sim:status=402":                                 {402, "insufficient_quota", "insufficient_quota", "", ""},
		"sim:status=429;retry-after=2":                   {429, "requests", "rate_limit_exceeded", "Retry-After", "2"},
		"sim:status=429;retry-after-ms=1500":             {429, "requests", "rate_limit_exceeded", "Retry-After-Ms", "1500"},
		"sim:status=429;code=insufficient_quota":         {429, "insufficient_quota", "insufficient_quota", "", ""},
		"sim:status=429;code=slow_down":                  {429, "requests", "slow_down", "", ""},
		"sim: status=409 ; should-retry=false":           {409, "invalid_request_error", "", "X-Should-Retry", "false"},
		"sim:reset-requests=6m0s;status=429":             {429, "requests", "rate_limit_exceeded", "X-Ratelimit-Reset-Requests", "6m0s"},
		"sim:status=529":                                 {529, "server_error", "", "", ""},
		"sim:fail=1":                                     {500, "server_error", "", "", ""},
		"sim:fail=1;code=boom":                           {500, "server_error", "boom", "", ""},
		"sim:latency=uniform:1ms,2ms;status=418":         {418, "invalid_request_error", "", "", ""},
		"sim:status=403;code=country_not_supported":      {403, "invalid_request_error", "country_not_supported", "", ""},
		"sim:status=503;retry-after=1;should-retry=true": {503, "service_unavailable_error", "server_is_overloaded", "X-Should-Retry", "true"},
	} {
		a := chat(t, run, question("q", directive))
		require.Equal(t, want.status, a.status, directive)
		e := envelope(t, a)
		require.Equal(t, want.kind, e.Type, directive)
		require.NotEmpty(t, e.Message, directive)
		require.Nil(t, e.Param, directive)
		if want.code == "" {
			require.Nil(t, e.Code, directive)
		} else {
			require.NotNil(t, e.Code, directive)
			require.Equal(t, want.code, *e.Code, directive)
		}
		require.Equal(t, want.content, a.header.Get(want.header), directive)
	}
}

func TestARetryDateIsAnHTTPDate(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{})
	a := chat(t, run, question("q", "sim:status=503;retry-date=120"))
	at, err := http.ParseTime(a.header.Get("Retry-After"))
	require.NoError(t, err)
	require.InDelta(t, 2*time.Minute, time.Until(at), float64(10*time.Second))
}

func TestADirectiveThatCannotBeObeyedIsNamed(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{})
	for directive, want := range map[string]string{
		"sim:explode":                 `"explode" is unknown`,
		"sim:status=500;nope=1":       `"nope" is unknown`,
		"sim:status=200":              `"status" is "200": allowed are whole numbers from 400 to 599`,
		"sim:status":                  `"status" is ""`,
		"sim:fail=0":                  `"fail" is "0"`,
		"sim:bytes=-1":                `"bytes" is "-1"`,
		"sim:cut=1":                   `"cut" takes no value`,
		"sim:cut;stall":               `"cut" and "stall" exclude each other`,
		"sim:half;status=500":         `"half" and "status" exclude each other`,
		"sim:status=500;status=501":   `"status" stands twice`,
		"sim:code=x":                  `"code" needs "status"`,
		"sim:code=;status=500":        `"code" needs a value`,
		"sim:latency=soon":            `latency "soon": "soon" is not a duration`,
		"sim:retry-after=x":           `"retry-after" is "x"`,
		"sim:should-retry=perhaps":    `"should-retry" is "perhaps"`,
		"sim:reset-requests=tomorrow": `"reset-requests" is "tomorrow"`,
		"sim:bytes=9;pretty":          `"bytes" and "pretty" exclude each other`,
		"sim:;":                       `"" is unknown`,
	} {
		a := chat(t, run, question("q", directive))
		require.Equal(t, http.StatusBadRequest, a.status, directive)
		require.Contains(t, envelope(t, a).Message, want, directive)
	}
	a := chat(t, run, `{"model":"m","stream":true,"user":"sim:pretty","messages":[{"role":"user","content":"q"}]}`)
	require.Equal(t, http.StatusBadRequest, a.status)
}

func TestADirectiveMayComeAsMetadata(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{})
	for _, body := range []string{
		`{"model":"m","input":"x","metadata":{"a":"b","sim":"sim:status=418"}}`,
		`{"model":"m","input":"x","user":"me","metadata":"sim:status=418"}`,
		`{"model":"m","input":"x","user":"sim:status=418","metadata":{"sim":"sim:status=500"}}`,
	} {
		require.Equal(t, http.StatusTeapot, call(t, run, http.MethodPost, "/v1/moderations", body).status, body)
	}
	plain := `{"model":"m","input":"x","user":"simon","metadata":{"sim":"card"}}`
	require.Equal(t, http.StatusOK, call(t, run, http.MethodPost, "/v1/responses", plain).status)
}

func TestFailMeansTheFirstCallsWithThisBody(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{})
	body, other := question("q", "sim:fail=2;status=503"), question("r", "sim:fail=2;status=503")
	var got []int
	for range 4 {
		got = append(got, chat(t, run, body).status)
	}
	require.Equal(t, []int{503, 503, 200, 200}, got)
	require.Equal(t, 503, chat(t, run, other).status, "another body is counted for itself")
	require.Equal(t, 4, run.Calls([]byte(body)))
	require.Equal(t, 2, run.Successes([]byte(body)))
}

func TestAnAnswerHasAsManyBytesAsADirectiveSays(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{})
	for _, path := range []string{"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings", "/v1/moderations"} {
		for _, size := range []int{30_000, 4 << 20} {
			body := `{"model":"m","messages":[{"role":"user","content":"q"}],"prompt":"q","input":"q","dimensions":8,` +
				`"user":"sim:bytes=` + strconv.Itoa(size) + `"}`
			a := call(t, run, http.MethodPost, path, body)
			require.Len(t, a.body, size, path)
			require.True(t, json.Valid(a.body), path)
			plain, err := run.Answer(openai.Endpoint(path), []byte(body))
			require.NoError(t, err)
			require.Less(t, len(plain), size)
		}
	}
	require.NotEmpty(t, chat(t, run, question("q", "sim:bytes=1")).body, "a longer answer stays as it is")
	require.Equal(t, int64(11), run.Stats().Succeeded)
}

func TestAPrettyAnswerIsTheSameOverManyLines(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{})
	body := question("q", "sim:pretty")
	plain, err := run.Answer(openai.ChatCompletions, []byte(body))
	require.NoError(t, err)
	a := chat(t, run, body)
	require.JSONEq(t, string(plain), string(a.body))
	require.Greater(t, bytes.Count(a.body, []byte("\n")), 20)
}

func FuzzDirective(f *testing.F) {
	for _, seed := range []string{
		"sim:", "sim:cut", "sim:status=429;retry-after=2", "sim:fail=2;status=503", "sim:latency=exp:1s;bytes=9", "sim:=;=",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, directive string) {
		if err := simulator.CheckDirective(directive); err == nil {
			require.Error(t, simulator.CheckDirective(directive+";pretty;pretty"), "an item that stands twice is refused")
		}
	})
}
