package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/config"
	"github.com/headrace/headrace/internal/llm/provider"
)

const whole = `
providers:
  - name: main
    base_url: https://api.openai.com/v1
    key_env: MAIN_KEY
    shape: openai
    organization: org-1
    models: ["gpt-*", "o[134]*"]
  - name: backup
    base_url: https://name.openai.azure.com
    key_file: KEYFILE
    shape: azure
    api_version: "2024-10-21"
    rewrite: {"gpt-4o": "my-deployment"}
routes:
  - model: "gpt-4*"
    queue: gpt4
  - provider: backup
    queue: backup
`

// load writes a file, reads it and makes providers of it.
func load(t *testing.T, text string, env map[string]string) (config.Providers, error) {
	t.Helper()
	c, err := config.Load(write(t, text), environment(env))
	if err != nil {
		return config.Providers{}, err
	}
	return config.NewProviders("", c, environment(env))
}

// write writes a file and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "headrace.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestAFileNamesProvidersAndTheQueuesOfCalls(t *testing.T) {
	t.Parallel()
	keyFile := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(keyFile, []byte("second\n"), 0o600))
	ps, err := load(t, strings.ReplaceAll(whole, "KEYFILE", keyFile), map[string]string{
		"MAIN_KEY": " " + key + "\n", config.EnvBaseURL: fromEnv, config.EnvAPIKey: "another",
	})
	require.NoError(t, err)
	require.Equal(t, "main, backup", ps.Name())
	require.False(t, ps.Simulated())
	first, second := ps.All[0], ps.All[1]
	require.Equal(t, "https://api.openai.com/v1", first.BaseURL)
	require.Equal(t, key, first.Key.Reveal())
	require.Equal(t, "org-1", first.Organization)
	require.True(t, first.Models[1].Match("o3-mini"))
	require.Equal(t, provider.Azure, second.Shape)
	require.Equal(t, "second", second.Key.Reveal())
	require.Equal(t, "2024-10-21", second.APIVersion)
	require.Equal(t, map[string]string{"gpt-4o": "my-deployment"}, second.Rewrite)
	require.Len(t, ps.Assignments, 2)
	require.Equal(t, "gpt4", ps.Assignments[0].Queue)
	require.True(t, ps.Assignments[0].Model.Match("gpt-4o"))
	require.Equal(t, "backup", ps.Assignments[1].Provider)
	for _, u := range ps.All {
		p, err := provider.New(u.Config)
		require.NoError(t, err)
		p.Close()
	}
}

func TestWithoutProvidersInTheFileAllIsAsWithoutIt(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "# nothing\n", "---\n", "providers: []\n", "providers:\nroutes:\n"} {
		ps, err := load(t, text, nil)
		require.NoError(t, err, "%q", text)
		require.True(t, ps.Simulated())
		ps, err = load(t, text, map[string]string{config.EnvBaseURL: fromEnv})
		require.NoError(t, err)
		require.Equal(t, fromEnv, ps.Name())
	}
	c, err := config.Load("", environment(nil))
	require.NoError(t, err)
	require.Empty(t, c.Providers)
}

func TestTheFlagNamesTheFileOrElseTheEnvironment(t *testing.T) {
	t.Parallel()
	path := write(t, "providers: [{name: p}]")
	env := environment(map[string]string{config.EnvConfig: "/nowhere/else.yaml"})
	f, err := config.Load(path, env)
	require.NoError(t, err)
	require.Equal(t, "p", f.Providers[0].Name)
	_, err = config.Load("", env)
	require.ErrorContains(t, err, "HEADRACE_CONFIG: open /nowhere/else.yaml: no such file")
	_, err = config.Load("/nowhere.yaml", env)
	require.ErrorContains(t, err, "--config: open /nowhere.yaml: no such file")
}

func TestWhatIsWrongWithAFileIsSaidWithItsPlace(t *testing.T) {
	t.Parallel()
	const entry = "providers:\n  - name: main\n"
	for text, says := range map[string]string{
		"provider: []":                                                     `line 1: unknown key "provider"`,
		entry + "    keys: x":                                              `line 3: unknown key "keys"`,
		entry + "    key: " + key:                                          "line 3: a secret does not belong into this file",
		entry + "    api_key: " + key:                                      `line 3: unknown key "api_key"`,
		entry + "    models: gpt-*":                                        "line 3: expected a list of texts, but got a single value",
		entry + "    rewrite: [a]":                                         "line 3: expected pairs of texts, but got a list",
		entry + "    base_url: {}":                                         "line 3: expected a text, but got keys and values",
		"providers: " + key:                                                "line 1: expected a list, but got a single value",
		"providers: [" + key + "]":                                         "line 1: expected keys and values, but got a single value",
		entry + "    name: x":                                              "line 3: mapping key \"name\" already defined at line 2",
		"providers: [\n":                                                   "line 1: did not find expected node content",
		"---\nproviders: []\n---\nroutes: []":                              "more after the first document",
		"providers: [{}]":                                                  `providers[0]: name: "" is no name`,
		"providers: [{name: a b}]":                                         `providers[0] (a b): name: "a b" is no name`,
		"providers: [{name: a}, {name: a}]":                                `providers[1].name: "a" is taken`,
		entry + "    base_url: api.openai.com":                             `providers[0] (main): base_url: "api.openai.com" is no URL such as`,
		entry + "    shape: gemini":                                        `providers[0] (main): shape: "gemini" is none: use openai`,
		entry + "    shape: azure":                                         "base_url: shape azure needs that of your resource",
		entry + "    key_env: NOT_SET":                                     "providers[0].key_env: the environment variable NOT_SET is not set",
		entry + "    key_file: /nowhere/key":                               "providers[0].key_file: open /nowhere/key: no such file",
		entry + "    key_file: /dev/null":                                  "providers[0].key_file: it is empty",
		entry + "    key_file: a\n    key_env: b":                          "providers[0].key_env and providers[0].key_file exclude each other",
		entry + "    models: [\"gpt-[\"]":                                  `models[0]: "gpt-[" is no pattern`,
		entry + "    models: [a, \"\"]":                                    `models[1]: "" is no pattern`,
		entry + "    headers: {a b: c}":                                    `providers[0] (main): headers: "a b" is no name of a header`,
		entry + "    headers: {host: c}":                                   "headers: Host is set by each call itself",
		entry + "    headers: {a: \"\\x01" + key + "\"}":                   "headers: the value of A has characters",
		entry + "    proxy: ftp://user:" + key + "@h":                      `proxy: expected "none", or a URL such as`,
		entry + "    prices: [{model: a, input: much}]":                    "prices[0].input: ",
		entry + "    prices: [{model: \"[\"}]":                             "prices[0].model: ",
		entry + "    timeout: soon":                                        `"soon" is no duration such as 90s`,
		entry + "    rewrite: {a: \"\"}":                                   "rewrite: a model has no name",
		entry + "routes: [{model: a}]":                                     `routes[0].queue: "" is no name of a queue`,
		entry + "routes: [{queue: a}]":                                     "routes[0].model: a route needs a model or a provider",
		entry + "routes: [{queue: a/b, model: m}]":                         `routes[0].queue: "a/b" is no name of a queue`,
		entry + "routes: [{queue: a, provider: b}]":                        `routes[0].provider: none is named "b": use one of main`,
		entry + "routes: [{queue: a, model: a}, {queue: b, model: \"[\"}]": `routes[1].model: "[" is no pattern`,
	} {
		_, err := load(t, text, nil)
		require.ErrorContains(t, err, says, text)
		require.NotContains(t, err.Error(), key, text)
		require.NotContains(t, err.Error(), key[:5], text)
	}
}

func TestSeveralMistakesAreToldTogether(t *testing.T) {
	t.Parallel()
	_, err := config.Parse([]byte("a: 1\nproviders:\n- key: x\n  b: 2\n"))
	require.EqualError(t, err, "line 1: unknown key \"a\"\n"+
		"line 3: a secret does not belong into this file; put it into an environment variable or a file of its own, "+
		"and name that with the same key and _env or _file at its end\nline 4: unknown key \"b\"")
}

func TestTheFlagForOneProviderAndProvidersExcludeEachOther(t *testing.T) {
	t.Parallel()
	f, err := config.Parse([]byte("providers: [{name: p, base_url: http://p/v1}]"))
	require.NoError(t, err)
	_, err = config.NewProviders(fromFlag, f, environment(nil))
	require.ErrorContains(t, err, "--upstream and the providers of the configuration file exclude each other")
	ps, err := config.NewProviders(fromFlag, config.Config{Routes: []config.RouteEntry{{Model: "m", Queue: "q"}}}, environment(nil))
	require.NoError(t, err)
	require.Equal(t, fromFlag, ps.Name())
	require.Len(t, ps.Assignments, 1)
}

func FuzzParseFile(f *testing.F) {
	f.Add(whole)
	f.Add("providers: [{name: p, key: sk-1}]")
	f.Add("a: &a [*a]")
	f.Add("providers:\n  - <<: {name: x}\n")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := config.Parse([]byte(text))
		if err != nil {
			require.Equal(t, config.Config{}, file)
			return
		}
		ps, err := config.NewProviders("", file, environment(map[string]string{"MAIN_KEY": key}))
		if err != nil {
			require.NotContains(t, err.Error(), key)
			return
		}
		for _, u := range ps.All {
			if p, err := provider.New(u.Config); err == nil {
				p.Close()
			}
		}
	})
}
