package config_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/config"
	"github.com/headrace/headrace/internal/secret"
	"github.com/headrace/headrace/internal/webhook"
)

// newOutgoing makes the rules of an environment.
func newOutgoing(t *testing.T, env config.Env) (config.Outgoing, error) {
	t.Helper()
	c, err := config.Load("", env)
	require.NoError(t, err)
	return config.NewOutgoing(c)
}

// newWebhookKeys makes the keys of an environment.
func newWebhookKeys(t *testing.T, env config.Env) (*config.WebhookKeys, error) {
	t.Helper()
	c, err := config.Load("", env)
	if err != nil {
		return nil, err
	}
	return config.NewWebhookKeys(c, env)
}

func TestRulesForOutgoingCallsComeFromTheEnvironment(t *testing.T) {
	t.Parallel()
	o, err := newOutgoing(t, environment(map[string]string{
		"HEADRACE_ALLOWED_HOSTS": "api.example.com, *.example.org,", "HEADRACE_ALLOWED_PRIVATE": "10.0.0.0/8,hooks.internal:9000",
		"HEADRACE_WEBHOOK_URL": " http://hooks.internal:9000/x\n",
	}))
	require.NoError(t, err)
	require.Equal(t, "http://hooks.internal:9000/x", o.WebhookURL)
	require.NoError(t, o.Tasks.CheckURL("https://a.example.org/"))
	require.Error(t, o.Tasks.CheckURL("https://elsewhere.test/"))
	require.NoError(t, o.Webhooks.CheckURL("https://elsewhere.test/"))
	require.NoError(t, o.Webhooks.CheckURL("http://10.1.2.3/"))
	require.Error(t, o.Webhooks.CheckURL("https://127.0.0.1/"))
}

func TestWithoutRulesHTTPTasksAreOffAndWebhooksGoToPublicHosts(t *testing.T) {
	t.Parallel()
	o, err := newOutgoing(t, environment(nil))
	require.NoError(t, err)
	require.True(t, o.Tasks.Off())
	require.NoError(t, o.Webhooks.CheckURL("https://example.com/"))
	require.Empty(t, o.WebhookURL)
}

func TestABadRuleIsRefusedByTheNameOfWhereItStood(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"HEADRACE_ALLOWED_HOSTS": "https://example.com", "HEADRACE_ALLOWED_PRIVATE": "10.0.0.0/99", "HEADRACE_WEBHOOK_URL": "http://example.com/",
	} {
		_, err := newOutgoing(t, environment(map[string]string{name: value}))
		require.ErrorContains(t, err, name+": ")
	}
}

const (
	global = "whsec_R0xPQkFMZ2xvYmFsR0xPQkFMZ2xvYmFs"
	own    = "whsec_T1dOb3duT1dOb3duT1dOb3duT1dOb3du"
)

// requireKey checks which secret signs.
func requireKey(t *testing.T, want string, got webhook.Key) {
	t.Helper()
	k, err := webhook.ParseSecret(secret.New(want))
	require.NoError(t, err)
	now := time.Now()
	require.Equal(t, k.Header("evt_1", now, nil), got.Header("evt_1", now, nil))
}

func TestAProjectSignsWithItsOwnSecretElseWithThatOfAll(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte(own+"\n"), 0o600))
	for _, set := range []map[string]string{
		{"HEADRACE_WEBHOOK_SECRET": global, "HEADRACE_WEBHOOK_SECRETS_TEAM_A": own},
		{"HEADRACE_WEBHOOK_SECRET": global, "HEADRACE_WEBHOOK_SECRETS_TEAM_A_FILE": file},
	} {
		k, err := newWebhookKeys(t, environment(set))
		require.NoError(t, err)
		require.True(t, k.Configured())
		key, err := k.Key("team-a")
		require.NoError(t, err)
		requireKey(t, own, key)
		key, err = k.Key("default")
		require.NoError(t, err)
		requireKey(t, global, key)
	}
}

func TestTheFileOfASecretMayBeReplaced(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte(global), 0o600))
	k, err := newWebhookKeys(t, environment(map[string]string{"HEADRACE_WEBHOOK_SECRET_FILE": file}))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, []byte(own), 0o600))
	key, err := k.Key("default")
	require.NoError(t, err)
	requireKey(t, own, key)
	require.NoError(t, os.Remove(file))
	_, err = k.Key("default")
	require.ErrorContains(t, err, "HEADRACE_WEBHOOK_SECRET_FILE: ")
}

func TestWithoutASecretTheErrorSaysWhatToSet(t *testing.T) {
	t.Parallel()
	k, err := newWebhookKeys(t, environment(nil))
	require.NoError(t, err)
	require.False(t, k.Configured())
	_, err = k.Key("default")
	require.EqualError(t, err, "there is no secret to sign webhooks with: set HEADRACE_WEBHOOK_SECRET or HEADRACE_WEBHOOK_SECRET_FILE for the workers")
	k.FallBack(secret.New(own))
	key, err := k.Key("default")
	require.NoError(t, err)
	requireKey(t, own, key)
}

func TestABadWebhookSecretIsRefusedByItsNameAndNotPrinted(t *testing.T) {
	t.Parallel()
	for _, set := range []map[string]string{
		{"HEADRACE_WEBHOOK_SECRET": "whsec_hush"}, {"HEADRACE_WEBHOOK_SECRET": global, "HEADRACE_WEBHOOK_SECRET_FILE": "/hush"},
	} {
		_, err := newWebhookKeys(t, environment(set))
		require.ErrorContains(t, err, "HEADRACE_WEBHOOK_SECRET")
		require.NotContains(t, err.Error(), "hush")
	}
	k, err := newWebhookKeys(t, environment(map[string]string{"HEADRACE_WEBHOOK_SECRETS_DEFAULT": "whsec_hush"}))
	require.NoError(t, err)
	_, err = k.Key("default")
	require.ErrorContains(t, err, "HEADRACE_WEBHOOK_SECRETS_DEFAULT: ")
}
