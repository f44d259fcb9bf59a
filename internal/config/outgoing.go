package config

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/headrace/headrace/internal/egress"
	"github.com/headrace/headrace/internal/secret"
	"github.com/headrace/headrace/internal/webhook"
)

// envWebhookSecrets and the name of a project, in upper case, is the variable with
// the secret that signs the events of that project.
const envWebhookSecrets = "HEADRACE_WEBHOOK_SECRETS_" //nolint:gosec // a name

// envFileSuffix ends the names of variables that name files.
const envFileSuffix = "_FILE"

// Outgoing says where calls to URLs that users give may go.
type Outgoing struct {
	// Tasks guards the calls of HTTP tasks, Webhooks those to receivers of
	// events.
	Tasks, Webhooks *egress.Guard
	// WebhookURL is the receiver of events of what names none itself, "" for
	// none.
	WebhookURL string
}

// NewOutgoing returns the rules for outgoing calls.
func NewOutgoing(c Config) (Outgoing, error) {
	o := Outgoing{WebhookURL: c.Webhooks.URL}
	rules := egress.Rules{Hosts: c.Outgoing.AllowedHosts, Private: c.Outgoing.AllowedPrivate}
	var err error
	if o.Webhooks, err = (egress.Rules{Private: rules.Private}).Public(); err != nil {
		return o, fmt.Errorf("%s: %w", c.Where("outgoing.allowed_private"), err)
	}
	if o.Tasks, err = rules.Listed(); err != nil {
		return o, fmt.Errorf("%s: %w", c.Where("outgoing.allowed_hosts"), err)
	}
	if o.WebhookURL != "" {
		if err := o.Webhooks.CheckURL(o.WebhookURL); err != nil {
			return o, fmt.Errorf("%s: %w", c.Where("webhooks.url"), err)
		}
	}
	return o, nil
}

// list reads values with commas between them.
func list(s string) []string {
	var all []string
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			all = append(all, item)
		}
	}
	return all
}

// WebhookKeys finds what signs the events of a project. Files are read anew each
// time, so that they can be replaced while headrace runs.
type WebhookKeys struct {
	env      Env
	c        Config
	fallback secret.String
}

// NewWebhookKeys returns the keys that are configured. The secret of all projects
// is looked at now, those of single projects when they are needed.
func NewWebhookKeys(c Config, env Env) (*WebhookKeys, error) {
	k := &WebhookKeys{env: env, c: c}
	if !k.Configured() {
		return k, nil
	}
	_, err := k.shared()
	return k, err
}

// Configured reports whether there is a secret for all projects.
func (k *WebhookKeys) Configured() bool { return !k.c.Webhooks.Secret.Empty() }

// FallBack sets what signs when nothing is configured.
func (k *WebhookKeys) FallBack(s secret.String) { k.fallback = s }

// Key returns what signs the events of a project.
func (k *WebhookKeys) Key(project string) (webhook.Key, error) {
	name := envWebhookSecrets + projectName(project)
	value, path := k.env(name), k.env(name+envFileSuffix)
	switch {
	case value != "" && path != "":
		return webhook.Key{}, fmt.Errorf("%s and %s%s are both set", name, name, envFileSuffix)
	case value != "":
		return parseSecret(name, value)
	case path != "":
		return readSecret(name+envFileSuffix, path)
	case k.c.Webhooks.SecretFiles[project] != "":
		return readSecret("webhooks.secret_files", k.c.Webhooks.SecretFiles[project])
	case k.Configured():
		return k.shared()
	case !k.fallback.Empty():
		return webhook.ParseSecret(k.fallback)
	default:
		return webhook.Key{}, errors.New("there is no secret to sign webhooks with: " +
			"set HEADRACE_WEBHOOK_SECRET or HEADRACE_WEBHOOK_SECRET_FILE for the workers")
	}
}

// shared is the secret of all projects.
func (k *WebhookKeys) shared() (webhook.Key, error) {
	const path = "webhooks.secret"
	from := k.c.From(path)
	if file := k.c.Webhooks.SecretFile; from == k.c.Where(path+fileSuffix) {
		return readSecret(from, file)
	}
	return parseSecret(from, k.c.Webhooks.Secret.Reveal())
}

func readSecret(from, path string) (webhook.Key, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the operator names it
	if err != nil {
		return webhook.Key{}, fmt.Errorf("%s: %w", from, err)
	}
	return parseSecret(from, string(data))
}

func parseSecret(from, text string) (webhook.Key, error) {
	key, err := webhook.ParseSecret(secret.New(text))
	if err != nil {
		return key, fmt.Errorf("%s: %w", from, err)
	}
	return key, nil
}

// projectName is how a project is spelled in the name of a variable.
func projectName(project string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(project))
}
