package config_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/config"
)

var update = flag.Bool("update", false, "write the table of fields into the documentation")

func TestAFlagWinsOverTheEnvironmentAndThatOverTheFile(t *testing.T) {
	t.Parallel()
	file := write(t, "api: {listen: \"127.0.0.1:1\", max_body: 2048}\nworker: {stop_grace: 7d}\n")
	env := map[string]string{}
	load := func(settings ...config.Setting) config.Config {
		c, err := config.Load(file, environment(env), settings...)
		require.NoError(t, err)
		return c
	}
	c := load()
	require.Equal(t, "127.0.0.1:1", c.API.Listen)
	require.Equal(t, 7*24*time.Hour, time.Duration(c.Worker.StopGrace))
	require.Equal(t, config.Default().Worker.TaskConcurrency, c.Worker.TaskConcurrency, "what nobody says is the default")
	require.Equal(t, file, c.From("api.listen"))
	require.Empty(t, c.From("worker.task_concurrency"))

	env["HEADRACE_API_LISTEN"] = "127.0.0.1:2"
	c = load()
	require.Equal(t, "127.0.0.1:2", c.API.Listen)
	require.Equal(t, "HEADRACE_API_LISTEN", c.From("api.listen"))
	require.Equal(t, int64(2048), c.API.MaxBody)

	c = load(config.Setting{Path: "api.listen", Value: "127.0.0.1:3", From: "--listen"})
	require.Equal(t, "127.0.0.1:3", c.API.Listen)
	require.Equal(t, "--listen", c.From("api.listen"))
}

// TestEveryFieldCanComeFromTheEnvironment sets every field there is by its
// variable, and compares with a file that says the same.
func TestEveryFieldCanComeFromTheEnvironment(t *testing.T) {
	t.Parallel()
	var fields int
	env := map[string]string{}
	for line := range strings.Lines(config.Reference()) {
		cells := strings.Split(line, "|")
		name := strings.Trim(cells[2], " `")
		if !strings.HasPrefix(name, "HEADRACE_") || strings.HasSuffix(name, "_FILE") || strings.HasSuffix(name, "_ENV") {
			continue
		}
		fields++
		switch {
		case regexp.MustCompile(`LISTEN`).MatchString(name):
			env[name] = "127.0.0.1:7"
		case regexp.MustCompile(`INSECURE|ENABLED|VERSIONING`).MatchString(name):
			env[name] = "true"
		case regexp.MustCompile(`GRACE|DRAIN_FOR|TIMEOUT|SILENCE`).MatchString(name):
			env[name] = "90s"
		case regexp.MustCompile(`SAMPLE`).MatchString(name):
			env[name] = "0.5"
		case regexp.MustCompile(`MAX_BODY|CONCURRENCY`).MatchString(name):
			env[name] = "4321"
		case regexp.MustCompile(`REWRITE|HEADERS|SECRET_FILES`).MatchString(name):
			env[name] = "a=b, c = d"
		case regexp.MustCompile(`ENDPOINT|ORIGINS`).MatchString(name):
			env[name] = "http://127.0.0.1:9"
		case regexp.MustCompile(`LEVEL`).MatchString(name):
			env[name] = "debug"
		case regexp.MustCompile(`FORMAT`).MatchString(name):
			env[name] = "json"
		case regexp.MustCompile(`PROTOCOL`).MatchString(name):
			env[name] = "grpc"
		default:
			env[name] = "said"
		}
	}
	require.Greater(t, fields, 40)
	c, err := config.Load("", environment(env))
	require.NoError(t, err)
	require.Equal(t, config.API{
		Listen: "127.0.0.1:7", Insecure: true, DrainFor: config.Duration(90 * time.Second), MaxBody: 4321,
		Keys: []config.KeyEntry{{Name: "said", Project: "said", Hash: "said", Scopes: []string{"said"}, Expires: "said"}},
	}, c.API)
	require.Equal(t, map[string]string{"a": "b", "c": "d"}, c.Providers[0].Rewrite)
	require.Equal(t, "said", c.Providers[0].Key.Reveal())
	require.Equal(t, []config.PriceEntry{{Model: "said", Input: "said", CachedInput: "said", Output: "said"}}, c.Providers[0].Prices)
	require.Equal(t, config.Telemetry{
		Listen: "127.0.0.1:7", Log: config.Log{Level: "debug", Format: "json"},
		Traces: config.Traces{Endpoint: "http://127.0.0.1:9", Protocol: "grpc", Sample: 0.5},
	}, c.Telemetry)
	require.Equal(t, "said", c.Encryption.Keys[0].Key.Reveal())

	var printed strings.Builder
	require.NoError(t, c.Print(&printed))
	for name := range env {
		require.Contains(t, printed.String(), "# from "+name+"\n")
	}
}

func TestListsOfTheEnvironmentGoOnWhereTheFileEnds(t *testing.T) {
	t.Parallel()
	file := write(t, "providers: [{name: first, base_url: http://first/v1}]")
	c, err := config.Load(file, environment(map[string]string{
		"HEADRACE_PROVIDERS_0_BASE_URL": "http://other/v1", "HEADRACE_PROVIDERS_1_NAME": "second", "HEADRACE_PROVIDERS_3_NAME": "gap",
	}))
	require.NoError(t, err)
	require.Len(t, c.Providers, 2)
	require.Equal(t, "first", c.Providers[0].Name)
	require.Equal(t, "http://other/v1", c.Providers[0].BaseURL)
	require.Equal(t, "second", c.Providers[1].Name)
}

func TestASecretComesFromAVariableOrAFileAndTheEnvironmentWins(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte("of the file\n"), 0o600))
	const byEnv, byFile = "temporal: {api_key_env: MINE}", "temporal: {api_key_file: PATH}"
	for _, c := range []struct {
		file string
		env  map[string]string
		want string
	}{
		{byEnv, map[string]string{"MINE": "of mine"}, "of mine"},
		{byFile, nil, "of the file"},
		{"", map[string]string{"HEADRACE_TEMPORAL_API_KEY": "itself"}, "itself"},
		{"", map[string]string{"HEADRACE_TEMPORAL_API_KEY_FILE": path}, "of the file"},
		{byEnv, map[string]string{"HEADRACE_TEMPORAL_API_KEY": "itself", "MINE": "of mine"}, "itself"},
		{byEnv, map[string]string{"HEADRACE_TEMPORAL_API_KEY_FILE": path, "MINE": "of mine"}, "of the file"},
	} {
		got, err := config.Load(write(t, strings.ReplaceAll(c.file, "PATH", path)), environment(c.env))
		require.NoError(t, err)
		require.Equal(t, c.want, got.Temporal.APIKey.Reveal())
	}
	_, err := config.Load("", environment(map[string]string{"HEADRACE_TEMPORAL_API_KEY": "hush", "HEADRACE_TEMPORAL_API_KEY_FILE": path}))
	require.EqualError(t, err, "HEADRACE_TEMPORAL_API_KEY and HEADRACE_TEMPORAL_API_KEY_FILE exclude each other: leave one of them out")
}

func TestEveryMistakeIsToldByWhereItStands(t *testing.T) {
	t.Parallel()
	_, err := config.Load(write(t, "api: {max_body: 7}\ntelemetry: {log: {level: loud}, traces: {sample: 2}}"), environment(map[string]string{
		"HEADRACE_API_LISTEN": "here", "HEADRACE_WORKER_TASK_CONCURRENCY": "many", "HEADRACE_API_INSECURE": "perhaps",
		"HEADRACE_TEMPORAL_TLS_CERT_FILE": "c.pem", "HEADRACE_TELEMETRY_TRACES_ENDPOINT": "collector:4317",
		"HEADRACE_ENCRYPTION_CODEC_ORIGINS": "http://ui/path", "HEADRACE_PROVIDERS_0_REWRITE": "a",
	}))
	for _, says := range []string{
		`api.max_body 7: expected 1024 to 1073741824 bytes`,
		`telemetry.log.level "loud": expected one of debug, info, warn, error`,
		`telemetry.traces.sample 2: expected a share from 0 to 1`,
		`HEADRACE_API_LISTEN "here": expected host:port such as 127.0.0.1:8080`,
		`HEADRACE_WORKER_TASK_CONCURRENCY: "many" is no number`,
		`HEADRACE_API_INSECURE: "perhaps" is neither true nor false`,
		`HEADRACE_TEMPORAL_TLS_CERT_FILE and temporal.tls.key_file belong together`,
		`HEADRACE_TELEMETRY_TRACES_ENDPOINT "collector:4317" is no URL`,
		`HEADRACE_ENCRYPTION_CODEC_ORIGINS: "http://ui/path" is no origin`,
		`HEADRACE_PROVIDERS_0_REWRITE: "a" is no pair name=value`,
	} {
		require.ErrorContains(t, err, says)
	}
}

func TestWhatIsPrintedHidesSecretsAndCanBeReadAgain(t *testing.T) {
	t.Parallel()
	file := write(t, `
providers: [{name: p, base_url: "http://user:`+key+`@host/v1", headers: {X-Gateway: `+key+`}, timeout: 1h30m}]
store: {url: "s3://bucket?region=eu"}
`)
	c, err := config.Load(file, environment(map[string]string{"HEADRACE_PROVIDERS_0_KEY": key, "HEADRACE_WEBHOOK_SECRET": key}))
	require.NoError(t, err)
	var b strings.Builder
	require.NoError(t, c.Print(&b))
	require.NotContains(t, b.String(), key)
	require.Contains(t, b.String(), "key: '***' # from HEADRACE_PROVIDERS_0_KEY")
	require.Contains(t, b.String(), "timeout: 1h30m0s # from "+file)
	again, err := config.Parse([]byte(strings.ReplaceAll(b.String(), "'***'", `""`)))
	require.NoError(t, err)
	require.Equal(t, c.Store, again.Store)
	require.Equal(t, c.Providers[0].Timeout, again.Providers[0].Timeout)
}

func TestTheExplainedFileIsOneOfTheDefaults(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	require.NoError(t, config.Explain(&b))
	c, err := config.Parse([]byte(b.String()))
	require.NoError(t, err)
	want, err := config.Parse([]byte(`{}`))
	require.NoError(t, err)
	var got, standard strings.Builder
	require.NoError(t, c.Print(&got))
	require.NoError(t, want.Print(&standard))
	require.Equal(t, standard.String(), got.String())
	require.Contains(t, b.String(), "$HEADRACE_PROVIDERS_0_PRICES_0_INPUT", "elements of lists are explained, too")
}

// TestTheDocumentationHasEveryField compares the table of fields with the page.
// Run with -update to write it there.
func TestTheDocumentationHasEveryField(t *testing.T) {
	t.Parallel()
	const page, begin, end = "../../docs/configuration.md", "<!-- fields -->\n", "<!-- end of fields -->"
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(text), begin)
	require.True(t, found)
	table, after, found := strings.Cut(rest, end)
	require.True(t, found)
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(before+begin+config.Reference()+end+after), 0o644))
		return
	}
	require.Equal(t, config.Reference(), table, "go test ./internal/config -update writes it")
}
