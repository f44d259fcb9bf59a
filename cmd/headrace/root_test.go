package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// ran is what a run of the command came to.
type ran struct {
	code           int
	stdout, stderr string
}

// command runs headrace in an environment of which env is all.
func command(t *testing.T, env map[string]string, args ...string) ran {
	t.Helper()
	return commandOn(t, "", env, args...)
}

// commandOn runs headrace with something on its standard input.
func commandOn(t *testing.T, stdin string, env map[string]string, args ...string) ran {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := execute(t.Context(), program{
		args: args, env: func(name string) string { return env[name] }, stdin: strings.NewReader(stdin), stdout: &stdout, stderr: &stderr,
	})
	return ran{code: code, stdout: stdout.String(), stderr: stderr.String()}
}

func TestEveryCommandHasHelpWithExamplesThatUseIt(t *testing.T) {
	t.Parallel()
	commands := []string{""}
	for _, c := range newRoot(program{}).Commands() {
		commands = append(commands, c.Name())
		for _, sub := range c.Commands() {
			commands = append(commands, c.Name()+" "+sub.Name())
		}
	}
	require.Subset(t, commands, []string{"", "run", "dev", "api", "worker", "sim", "queue", "queue ls", "queue set", "key new", "key hash"})
	for _, name := range commands {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := command(t, nil, strings.Fields(name+" --help")...)
			require.Equal(t, 0, r.code)
			require.Empty(t, r.stderr)
			require.Contains(t, r.stdout, "Usage:\n  headrace "+name)
			_, examples, found := strings.Cut(r.stdout, "Examples:\n")
			require.True(t, found)
			require.Contains(t, examples, "headrace "+name)
		})
	}
}

func TestWithoutArgumentsThereIsHelp(t *testing.T) {
	t.Parallel()
	r := command(t, nil)
	require.Equal(t, 0, r.code)
	require.Contains(t, r.stdout, "Available Commands:")
	require.Empty(t, r.stderr)
}

func TestTheVersionIsPrinted(t *testing.T) {
	t.Parallel()
	r := command(t, nil, "--version")
	require.Equal(t, 0, r.code)
	require.Regexp(t, `^headrace version \S+`, r.stdout)
}

// TestWrongUsageSaysWhatIsWrongAndExitsWith2 starts nothing, so it needs no
// folder.
func TestWrongUsageSaysWhatIsWrongAndExitsWith2(t *testing.T) {
	t.Parallel()
	for line, says := range map[string]string{
		"walk":                            `unknown command "walk"`,
		"--colour":                        "unknown flag: --colour",
		"run":                             "expected one file of requests, but got 0 arguments",
		"run a.jsonl b.jsonl":             "expected one file of requests, but got 2 arguments",
		"run --colour a.jsonl":            "unknown flag: --colour",
		"run a.jsonl -o":                  "flag needs an argument",
		"run a.jsonl --max-concurrency x": "invalid argument",
		"run a.jsonl --max-concurrency 0": "--max-concurrency 0: expected 1 to 10000",
		"run a.jsonl --endpoint /v1/chat": `--endpoint "/v1/chat": expected one of`,
		"run a.jsonl --upstream provider": `--upstream "provider" is no URL such as https://api.openai.com/v1`,
		"run a.jsonl --server localhost":  `--server "localhost" is no URL such as http://127.0.0.1:8080`,
		"run a.jsonl --server http://a --upstream http://b": "exclude each other",
		"dev extra":                     `unknown command "extra" for "headrace dev"`,
		"dev --listen 8080":             `--listen "8080": expected host:port such as 127.0.0.1:8080`,
		"dev --listen 0.0.0.0:8080":     "add --insecure",
		"dev --listen :8080":            "whoever can reach this address could use your provider key",
		"api --listen 192.0.2.1:80":     "add --insecure",
		"dev --upstream ftp://x":        `--upstream "ftp://x" is no URL`,
		"worker --upstream x":           `--upstream "x" is no URL`,
		"dev --config /nowhere.yaml":    "--config: open /nowhere.yaml: no such file or directory",
		"run a.jsonl --config /nowhere": "--config: open /nowhere: no such file or directory",
		"sim --latency soon":            "invalid argument",
		"sim --rpm -1":                  "rpm is -1",
		"sim --error-rate 2":            "faults.error is 2",
		"queue walk":                    `unknown command "walk" for "headrace queue"`,
		"queue get":                     "expected the name of one queue, but got 0 arguments",
		"queue pause a b":               "expected the name of one queue, but got 2 arguments",
		"queue ls a":                    `unknown command "a" for "headrace queue ls"`,
		"queue ls --server localhost":   `--server "localhost" is no URL such as http://127.0.0.1:8080`,
		"queue set q":                   "expected a limit to set: --concurrency, --rpm, --tpm or --weight",
		"queue set q --rpm many":        `invalid argument "many" for "--rpm" flag: expected a number, or "none" for no limit`,
		"queue set q --rpm -1":          `expected a number, or "none" for no limit`,
		"queue set q --weight a":        "expected project=N with a number up to 1000, or project=none",
		"queue set q --weight a=1001":   "expected project=N",
		"health a b":                    "expected one URL at most, but got 2 arguments",
		"health localhost":              `"localhost" is no URL such as http://127.0.0.1:8080`,
		"health --timeout soon":         "invalid argument",
		"sim extra":                     `unknown command "extra" for "headrace sim"`,
		"dev --temporal-port seventeen": "invalid argument",
		"dev --task-concurrency 0":      "--task-concurrency 0: expected 1 to 100000",
		"worker --task-concurrency -1":  "--task-concurrency -1: expected 1 to 100000",
		"api --max-body 7":              "--max-body 7: expected 1024 to 1073741824 bytes",
		"api --max-body much":           `--max-body: "much" is no number`,
		"api --insecure=perhaps":        `--insecure: "perhaps" is neither true nor false`,
		"key new --encryption --name a": "leave the other flags out",
		"config extra":                  `unknown command "extra" for "headrace config"`,
		"config --listen here":          `--listen "here": expected host:port`,
		"config --upstream x":           `--upstream "x" is no URL`,
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			r := command(t, nil, strings.Fields(line)...)
			require.Equal(t, 2, r.code)
			require.Empty(t, r.stdout)
			require.True(t, strings.HasPrefix(r.stderr, "headrace: "), r.stderr)
			require.Contains(t, r.stderr, says)
			require.Regexp(t, `\nRun 'headrace( [a-z]+)* --help' for usage\.\n$`, r.stderr)
		})
	}
}

func TestAnUpstreamFromTheEnvironmentIsCheckedToo(t *testing.T) {
	t.Parallel()
	r := command(t, map[string]string{"OPENAI_BASE_URL": "nowhere"}, "run", "a.jsonl")
	require.Equal(t, 2, r.code)
	require.Contains(t, r.stderr, `OPENAI_BASE_URL "nowhere" is no URL`)
}

func TestAnInputThatCannotBeReadExitsWith1(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	for path, says := range map[string]string{
		filepath.Join(dir, "none.jsonl"): "none.jsonl: no such file or directory",
		dir:                              dir + " is no regular file",
		pipe:                             "pipe is no regular file: save the requests to one first",
	} {
		r := command(t, nil, "run", path, "--data", filepath.Join(dir, "data"))
		require.Equal(t, 1, r.code)
		require.Equal(t, 1, strings.Count(r.stderr, "\n"), r.stderr)
		require.Contains(t, r.stderr, says)
	}
	require.NoDirExists(t, filepath.Join(dir, "data"), "nothing is started")
}

func TestAnErrorComesWithItsHint(t *testing.T) {
	t.Parallel()
	var stderr bytes.Buffer
	p := program{stderr: &stderr}
	code := report(p, newRoot(p), hintedError{errors.New("it is broken"), "Mend it."})
	require.Equal(t, 1, code)
	require.Equal(t, "headrace: it is broken\nMend it.\n", stderr.String())
	require.Equal(t, 3, report(p, newRoot(p), exitError(exitFailures)), "and says nothing more")
	require.Equal(t, "headrace: it is broken\nMend it.\n", stderr.String())
}

func TestAddressesOfThisMachineAloneNeedNoFlag(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1:8080", "127.9.9.9:1", "localhost:0", "[::1]:80"} {
		require.NoError(t, requireLoopback(address, false), address)
	}
	for _, address := range []string{"0.0.0.0:80", ":80", "[::]:80", "example.com:80", "10.0.0.1:80"} {
		require.Error(t, requireLoopback(address, false), address)
		require.NoError(t, requireLoopback(address, true), address)
	}
	require.ErrorContains(t, requireLoopback(":80", false), "headrace key new", "what to do instead")
}

func inputOf(t *testing.T, name, content, endpoint string) *input {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	in, err := openInput(path, endpoint)
	require.NoError(t, err)
	t.Cleanup(in.close)
	return in
}

func TestARunIsKnownByItsContentEndpointAndUpstream(t *testing.T) {
	t.Parallel()
	key := inputOf(t, "a.jsonl", "{}\n", "").key("OpenAI", "")
	require.Equal(t, key, inputOf(t, "b.jsonl", "{}\n", "").key("OpenAI", ""), "the name does not matter")
	require.NotEqual(t, key, inputOf(t, "a.jsonl", "{}\n\n", "").key("OpenAI", ""))
	require.NotEqual(t, key, inputOf(t, "a.jsonl", "{}\n", "/v1/embeddings").key("OpenAI", ""))
	require.NotEqual(t, key, inputOf(t, "a.jsonl", "{}\n", "").key("the simulator", ""))
	server := inputOf(t, "a.jsonl", "{}\n", "").key("OpenAI", "http://a")
	require.NotEqual(t, key, server)
	require.Equal(t, server, inputOf(t, "a.jsonl", "{}\n", "").key("the simulator", "http://b"), "a server has its own upstream")
}

func TestTheEndpointIsThatOfTheFirstRequest(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		`{"url":"/v1/embeddings"}`:                 "/v1/embeddings",
		"\uFEFF\n\n" + `{"url":"\/v1\/responses"}`: "/v1/responses",
		`{"url":"/v1/teapot"}`:                     "/v1/chat/completions",
		"":                                         "/v1/chat/completions",
		"nonsense\n" + `{"url":"/v1/embeddings"}`: "/v1/chat/completions",
	} {
		require.Equal(t, want, string(inputOf(t, "a.jsonl", content, "").endpoint), content)
	}
	require.Equal(t, "/v1/moderations", string(inputOf(t, "a.jsonl", `{"url":"/v1/embeddings"}`, "/v1/moderations").endpoint))
}

func TestTheServerIsToldANameThatItTakes(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"a.jsonl": "a.jsonl", "A.JSONL": "A.JSONL", "a.txt": "a.txt.jsonl", "a": "a.jsonl"} {
		require.Equal(t, want, inputOf(t, name, "", "").name())
	}
}
