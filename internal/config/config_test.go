package config_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/config"
	"github.com/headrace/headrace/internal/llm/provider"
	"github.com/headrace/headrace/internal/secret"
)

const (
	fromFlag = "http://flag.test:8000/v1"
	fromEnv  = "https://env.test/v1"
	key      = "sk-do-not-print-me"
)

// environment makes an Env of what is set.
func environment(set map[string]string) config.Env {
	return func(name string) string { return set[name] }
}

func TestTheUpstreamIsTheFlagsElseTheEnvironmentsElseTheSimulator(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		flag, url, key string
		want           string // base URL
		simulated      bool
		name           string
	}{
		{simulated: true, name: "the simulator"},
		{key: key, name: "OpenAI"},
		{url: fromEnv, want: fromEnv, name: fromEnv},
		{url: fromEnv, key: key, want: fromEnv, name: fromEnv},
		{flag: fromFlag, want: fromFlag, name: fromFlag},
		{flag: fromFlag, key: key, want: fromFlag, name: fromFlag},
		{flag: fromFlag, url: fromEnv, want: fromFlag, name: fromFlag},
		{flag: fromFlag, url: fromEnv, key: key, want: fromFlag, name: fromFlag},
		{flag: fromFlag, url: "nonsense", want: fromFlag, name: fromFlag},
	} {
		u, err := config.NewUpstream(c.flag, environment(map[string]string{config.EnvBaseURL: c.url, config.EnvAPIKey: c.key}))
		require.NoError(t, err, "%+v", c)
		require.Equal(t, c.want, u.BaseURL, "%+v", c)
		require.Equal(t, c.key, u.Key.Reveal(), "%+v", c)
		require.Equal(t, c.simulated, u.Simulated, "%+v", c)
		require.Equal(t, c.name, u.Name(), "%+v", c)
	}
}

func TestTheEnvironmentHasTheNamesOfTheSDKs(t *testing.T) {
	t.Parallel()
	u, err := config.NewUpstream("", environment(map[string]string{
		"OPENAI_BASE_URL": fromEnv, "OPENAI_API_KEY": key, "OPENAI_ORG_ID": "org-1", "OPENAI_API_TYPE": "azure", "OPENAI_API_VERSION": "2024-10-21",
	}))
	require.NoError(t, err)
	require.Equal(t, config.Upstream{Config: provider.Config{
		BaseURL: fromEnv, Key: secret.New(key), Shape: provider.Azure, APIVersion: "2024-10-21", Organization: "org-1",
	}}, u)
}

func TestEveryUpstreamCanBeMadeAProvider(t *testing.T) {
	t.Parallel()
	for shape, base := range map[string]string{"": "", "openai": "", "anthropic": "", "azure": fromEnv, "azure_ad": fromEnv} {
		u, err := config.NewUpstream("", environment(map[string]string{config.EnvBaseURL: base, config.EnvAPIKey: key, config.EnvAPIType: shape}))
		require.NoError(t, err)
		p, err := provider.New(u.Config)
		require.NoError(t, err, "shape %q", shape)
		p.Close()
	}
}

func TestWhatIsNoURLIsRefusedByTheNameOfWhereItStood(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		"api.openai.com", "localhost:8000", "localhost:8000/v1", "ftp://host/v1", "http://", "https:///v1", "http:host", "//host/v1", "unix:///socket",
		"http://[::1", "http://host:port/v1", "http://ho st/v1", ":", " http://host", "http://host\x7f",
	} {
		_, err := config.NewUpstream(value, environment(map[string]string{config.EnvBaseURL: fromEnv, config.EnvAPIKey: key}))
		require.EqualError(t, err, fmt.Sprintf("--upstream %q is no URL such as https://api.openai.com/v1", value))
		_, err = config.NewUpstream("", environment(map[string]string{config.EnvBaseURL: value, config.EnvAPIKey: key}))
		require.EqualError(t, err, fmt.Sprintf("OPENAI_BASE_URL %q is no URL such as https://api.openai.com/v1", value))
	}
}

func TestUnusualURLsAreTaken(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"http://127.0.0.1:8000", "http://[::1]:8000/v1/", "HTTPS://HOST/v1", "http://host/a/b/c"} {
		u, err := config.NewUpstream(value, environment(nil))
		require.NoError(t, err)
		require.Equal(t, value, u.BaseURL)
		require.False(t, u.Simulated)
	}
}

func TestAPersonIsToldTheNameOfTheProviderThatHasNoURL(t *testing.T) {
	t.Parallel()
	for shape, want := range map[string]string{"": "OpenAI", "openai": "OpenAI", "anthropic": "Anthropic"} {
		u, err := config.NewUpstream("", environment(map[string]string{config.EnvAPIKey: key, config.EnvAPIType: shape}))
		require.NoError(t, err)
		require.Equal(t, want, u.Name())
	}
	require.Equal(t, "an unknown provider", config.Upstream{Config: provider.Config{BaseURL: "http://user:hunter2@host:x"}}.Name())
}

func TestNoSecretIsPrintedOfAnUpstream(t *testing.T) {
	t.Parallel()
	u, err := config.NewUpstream("http://user:hunter2@host/v1", environment(map[string]string{config.EnvAPIKey: key}))
	require.NoError(t, err)
	require.Equal(t, "http://user:xxxxx@host/v1", u.Name())
	require.Equal(t, "http://user:hunter2@host/v1", u.BaseURL, "which calls need")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		require.NotContains(t, fmt.Sprintf(verb, u), key)
		require.NotContains(t, fmt.Sprintf(verb, struct{ u config.Upstream }{u}), key)
	}
}
