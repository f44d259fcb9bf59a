package e2e_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
)

// job is a file of requests and where its run keeps things.
type job struct{ input, data, output, errors string }

func newJob(t *testing.T, input string) job {
	t.Helper()
	dir := t.TempDir()
	j := job{
		input: filepath.Join(dir, "in.jsonl"), data: filepath.Join(dir, "data"),
		output: filepath.Join(dir, "out.jsonl"), errors: filepath.Join(dir, "errors.jsonl"),
	}
	require.NoError(t, os.WriteFile(j.input, []byte(input), 0o600))
	return j
}

// run starts `headrace run` on the job with its output file.
func (j job) run(t *testing.T, upstream string, more ...string) *process {
	t.Helper()
	return start(t, nil, append([]string{"run", j.input, "-o", j.output, "--data", j.data, "--upstream", upstream}, more...)...)
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}

// ids are the custom ids of result lines.
func ids(t *testing.T, content string) []string {
	t.Helper()
	var all []string
	for _, r := range resultsOf(t, content) {
		all = append(all, r.CustomID)
	}
	return all
}

func TestARunWritesOneLineForEachRequestInOrder(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{Latency: latency(t, "exp:5ms"), Seed: 1})
	j := newJob(t, requests(300))
	p := j.run(t, up.URL(), "--max-concurrency", "32")
	require.Equal(t, 0, p.wait())
	require.Empty(t, p.stdout.String(), "with -o nothing goes to standard output")
	output := lines(t, strings.NewReader(read(t, j.output)))
	require.Len(t, output, 300)
	for i, line := range output {
		body := chatBody(fmt.Sprintf("Question number %d?", i+1), "")
		want, err := up.Answer(openai.ChatCompletions, []byte(body))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("r-%d", i+1), gjson.Get(line, "custom_id").String())
		require.Equal(t, string(want), gjson.Get(line, "response.body").Raw)
	}
	require.Equal(t, int64(300), up.Stats().Calls)
	require.Contains(t, p.stderr.String(), "300 requests in ")
	require.Contains(t, p.stderr.String(), ": 300 answered, 0 failed\n")
	require.Contains(t, p.stderr.String(), "written: "+j.output+"\n")
	requireTidy(t, j)
}

// requireTidy requires that a run leaves nothing beside its files.
func requireTidy(t *testing.T, j job) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(j.output))
	require.NoError(t, err)
	for _, e := range entries {
		require.NotContains(t, e.Name(), ".partial")
	}
}

func TestARunWithoutAnOutputFileWritesToStandardOutput(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	j := newJob(t, requests(10))
	p := start(t, nil, "run", j.input, "--data", j.data, "--upstream", up.URL())
	require.Equal(t, 0, p.wait())
	require.Len(t, resultsOf(t, p.stdout.String()), 10)
	require.NotContains(t, p.stderr.String(), "written")
}

// mixed has three requests that succeed and three that fail.
func mixed() string {
	return strings.Join([]string{
		request("good-1", "Mixed", ""), request("bad-1", "Mixed", `,"user":"sim:status=404;code=model_not_found"`),
		request("good-2", "Mixed 2", ""), request("bad-2", "Mixed 2", `,"user":"sim:status=404;code=model_not_found"`),
		request("bad-3", "Mixed 3", `,"user":"sim:status=500;html"`), request("good-3", "Mixed 3", ""),
	}, "\n")
}

func TestFailedRequestsStandAmongTheOthersAndMakeExitCode3(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	j := newJob(t, mixed())
	p := j.run(t, up.URL())
	require.Equal(t, 3, p.wait())
	require.Equal(t, []string{"good-1", "bad-1", "good-2", "bad-2", "bad-3", "good-3"}, ids(t, read(t, j.output)))
	require.Contains(t, p.stderr.String(), ": 3 answered, 3 failed\n")
	require.Contains(t, p.stderr.String(), "failed: 2 × 404 model_not_found, 1 × 500 ")
	require.Equal(t, int64(1), up.Stats().CallsPerBody[5], "a server's error is tried five times")
}

func TestFailedRequestsGoToAFileOfTheirOwn(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	j := newJob(t, mixed())
	p := j.run(t, up.URL(), "--errors", j.errors)
	require.Equal(t, 3, p.wait())
	require.Equal(t, []string{"good-1", "good-2", "good-3"}, ids(t, read(t, j.output)))
	require.Equal(t, []string{"bad-1", "bad-2", "bad-3"}, ids(t, read(t, j.errors)))
	require.Contains(t, p.stderr.String(), "written: "+j.errors+"\n")
	requireTidy(t, j)
}

func TestAnInputWithBadLinesIsRefusedAndNothingIsCalled(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	j := newJob(t, requests(1)+strings.Repeat("nonsense\n", 1234))
	p := j.run(t, up.URL())
	require.Equal(t, 1, p.wait())
	said := p.stderr.String()
	require.Contains(t, said, j.input+" cannot be run, and nothing was called:\n")
	require.Equal(t, 10, strings.Count(said, "not parseable as valid JSON"))
	require.Contains(t, said, "line 2: ")
	require.Contains(t, said, "line 11: ")
	require.Contains(t, said, "… and 1,224 more.\n")
	require.Zero(t, up.Stats().Calls)
	require.NoFileExists(t, j.output)
	requireTidy(t, j)
}

func TestAnInputThatWasMendedRuns(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	j := newJob(t, requests(2)+"nonsense\n")
	require.Equal(t, 1, j.run(t, up.URL()).wait())
	require.NoError(t, os.WriteFile(j.input, []byte(requests(3)), 0o600))
	require.Equal(t, 0, j.run(t, up.URL()).wait())
	require.Len(t, resultsOf(t, read(t, j.output)), 3)
}

func TestAnOutputOfAnotherRunIsNotReplaced(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	for name, content := range map[string]string{
		"text":           "dear diary\n",
		"another result": `{"id":"batch_req_00000000000000000000000000_1","custom_id":"x","response":null,"error":null}` + "\n",
		"no line break":  "x",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJob(t, requests(1))
			require.NoError(t, os.WriteFile(j.output, []byte(content), 0o600))
			p := j.run(t, up.URL())
			require.Equal(t, 1, p.wait())
			require.Contains(t, p.stderr.String(), j.output+" exists and is not of this run\nNothing was called.")
			require.Equal(t, content, read(t, j.output))
			require.Zero(t, up.Stats().Calls)
			requireTidy(t, j)
		})
	}
}

func TestTheSameRunAgainCallsNothing(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	j := newJob(t, mixed())
	require.Equal(t, 3, j.run(t, up.URL()).wait())
	calls, output := up.Stats().Calls, read(t, j.output)

	again := j.run(t, up.URL())
	require.Equal(t, 3, again.wait())
	require.Contains(t, again.stderr.String(), "This file has been run already: no calls are made (--new runs it again).")
	require.Equal(t, output, read(t, j.output))
	require.NoError(t, os.Remove(j.output))
	require.Equal(t, 3, j.run(t, up.URL(), "--errors", j.errors).wait())
	require.Equal(t, []string{"good-1", "good-2", "good-3"}, ids(t, read(t, j.output)), "and writes as it is asked now")
	require.Equal(t, calls, up.Stats().Calls)
}

func TestANewRunCallsEverythingAgain(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	j := newJob(t, requests(5))
	require.Equal(t, 0, j.run(t, up.URL()).wait())
	p := j.run(t, up.URL(), "--new")
	require.Equal(t, 1, p.wait(), "the output is of the first run")
	require.Contains(t, p.stderr.String(), "is not of this run")
	j.output += ".2"
	require.Equal(t, 0, j.run(t, up.URL(), "--new").wait())
	require.Equal(t, map[int64]int64{2: 5}, up.Stats().CallsPerBody)
	require.Len(t, resultsOf(t, read(t, j.output)), 5)
}

func TestARunThatCannotKeepItsResultsCallsNothing(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	for name, spoil := range map[string]func(j *job) string{
		"no folder for the output": func(j *job) string {
			j.output = filepath.Join(j.data, "none", "out.jsonl")
			return "cannot write results to"
		},
		"no folder for the errors": func(j *job) string {
			j.errors = filepath.Join(j.data, "none", "e.jsonl")
			return "cannot write results to"
		},
		"the input for an output":   func(j *job) string { j.output = j.input; return "is the input" },
		"a file for the data":       func(j *job) string { j.data = j.input; return "not a directory" },
		"the output for the errors": func(j *job) string { j.errors = j.output; return "is named twice" },
		"a folder for the output":   func(j *job) string { j.output = filepath.Dir(j.input); return "it is a directory" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJob(t, requests(1))
			said := spoil(&j)
			p := j.run(t, up.URL(), "--errors", j.errors)
			require.Equal(t, 1, p.wait())
			require.Contains(t, p.stderr.String(), said)
			require.Zero(t, up.Stats().Calls)
			require.Equal(t, requests(1), read(t, j.input))
		})
	}
}

func TestARunUsesARunningServer(t *testing.T) {
	t.Parallel()
	s := shared(t)
	prompt := "By a running server, at " + time.Now().String() // which knows no earlier run
	j := newJob(t, request("served", prompt, "")+"\n")
	p := start(t, nil, "run", j.input, "-o", j.output, "--server", s.url)
	require.Equal(t, 0, p.wait())
	require.Equal(t, []string{"served"}, ids(t, read(t, j.output)))
	require.NoDirExists(t, filepath.Join(p.cmd.Dir, "headrace-data"), "nothing is started here")
	again := start(t, nil, "run", j.input, "-o", j.output, "--server", s.url+"/v1/")
	require.Equal(t, 0, again.wait())
	require.Contains(t, again.stderr.String(), "no calls are made")
	require.Equal(t, 1, s.upstream.Calls([]byte(chatBody(prompt, ""))))
}

func TestARunTellsWhenTheServerIsNotThere(t *testing.T) {
	t.Parallel()
	j := newJob(t, requests(1))
	p := start(t, nil, "run", j.input, "-o", j.output, "--server", "http://"+closedAddress(t))
	require.Equal(t, 1, p.wait())
	require.Contains(t, p.stderr.String(), "connection refused")
	require.Contains(t, p.stderr.String(), "Is headrace running there?")
	require.NoFileExists(t, j.output)
}

// TestAProvidersBytesReachTheOutput has an answer as no simulator gives it.
func TestAProvidersBytesReachTheOutput(t *testing.T) {
	t.Parallel()
	const body = `{ "z":1,"a" : 12345678901234567890123, "f":1.10,"u":"\u00e9é\/","e":1E5,"null":null,` +
		`"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"more":{}} , "twice":1,"twice":2 }`
	var got bytes.Buffer
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = got.ReadFrom(r.Body)
		w.Header().Set("X-Request-Id", "req-of-the-provider")
		_, _ = w.Write([]byte(body))
	})
	sent := chatBody("Faithful", `,"temperature":0,"stop":"x","unknown":[1.0]`)
	j := newJob(t, chatLine("1", sent))
	require.Equal(t, 0, j.run(t, url).wait())
	require.Equal(t, sent, got.String())
	line := read(t, j.output)
	require.Contains(t, line, `"body":`+body+"}")
	require.Equal(t, "req-of-the-provider", gjson.Get(line, "response.request_id").String())
}
