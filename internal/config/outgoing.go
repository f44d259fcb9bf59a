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

// The environment that says where calls to URLs of users go, and what signs
// webhooks. Of a secret the name with _FILE at its end gives a file that holds
// it.
const (
	// EnvAllowedHosts lists the hosts that HTTP tasks may call.
	EnvAllowedHosts = "HEADRACE_ALLOWED_HOSTS"
	// EnvAllowedPrivate lists hosts, addresses and ranges that may be called
	// although they are not public.
	EnvAllowedPrivate = "HEADRACE_ALLOWED_PRIVATE"
	// EnvWebhookURL is the receiver of events of what names none itself.
	EnvWebhookURL = "HEADRACE_WEBHOOK_URL"
	// EnvWebhookSecret signs the events of all projects that have none of
	// their own.
	EnvWebhookSecret = "HEADRACE_WEBHOOK_SECRET" //nolint:gosec // a name
	// EnvWebhookSecrets and the name of a project, in upper case, signs the
	// events of that project.
	EnvWebhookSecrets = "HEADRACE_WEBHOOK_SECRETS_" //nolint:gosec // a name

	fileSuffix = "_FILE"
)

// Outgoing says where calls to URLs that users give may go.
type Outgoing struct {
	// Tasks guards the calls of HTTP tasks, Webhooks those to receivers of
	// events.
	Tasks, Webhooks *egress.Guard
	// WebhookURL is the receiver of events of what names none itself, "" for
	// none.
	WebhookURL string
}

// NewOutgoing reads the rules for outgoing calls.
func NewOutgoing(env Env) (Outgoing, error) {
	o := Outgoing{WebhookURL: strings.TrimSpace(env(EnvWebhookURL))}
	rules := egress.Rules{Hosts: list(env(EnvAllowedHosts)), Private: list(env(EnvAllowedPrivate))}
	var err error
	if o.Webhooks, err = (egress.Rules{Private: rules.Private}).Public(); err != nil {
		return o, fmt.Errorf("%s: %w", EnvAllowedPrivate, err)
	}
	if o.Tasks, err = rules.Listed(); err != nil {
		return o, fmt.Errorf("%s: %w", EnvAllowedHosts, err)
	}
	if o.WebhookURL != "" {
		if err := o.Webhooks.CheckURL(o.WebhookURL); err != nil {
			return o, fmt.Errorf("%s: %w", EnvWebhookURL, err)
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

// WebhookKeys finds what signs the events of a project. Secrets are read anew
// each time, so that a file can be replaced while headrace runs.
type WebhookKeys struct {
	env      Env
	fallback secret.String
}

// NewWebhookKeys returns the keys that the environment names. The secret of all
// projects is looked at now, those of single projects when they are needed.
func NewWebhookKeys(env Env) (*WebhookKeys, error) {
	k := &WebhookKeys{env: env}
	if !k.Configured() {
		return k, nil
	}
	_, err := k.key(EnvWebhookSecret)
	return k, err
}

// Configured reports whether there is a secret for all projects.
func (k *WebhookKeys) Configured() bool {
	return k.env(EnvWebhookSecret) != "" || k.env(EnvWebhookSecret+fileSuffix) != ""
}

// FallBack sets what signs when the environment names nothing.
func (k *WebhookKeys) FallBack(s secret.String) { k.fallback = s }

// Key returns what signs the events of a project.
func (k *WebhookKeys) Key(project string) (webhook.Key, error) {
	own := EnvWebhookSecrets + projectName(project)
	for _, name := range []string{own, EnvWebhookSecret} {
		key, err := k.key(name)
		if !errors.Is(err, errUnset) {
			return key, err
		}
	}
	if k.fallback.Empty() {
		return webhook.Key{}, fmt.Errorf("there is no secret to sign webhooks with: set %s or %s%s for the workers",
			EnvWebhookSecret, EnvWebhookSecret, fileSuffix)
	}
	return webhook.ParseSecret(k.fallback)
}

// errUnset says that a secret is not configured.
var errUnset = errors.New("not set")

// key reads one secret: the variable itself, or the file that it names.
func (k *WebhookKeys) key(name string) (webhook.Key, error) {
	s, path := k.env(name), k.env(name+fileSuffix)
	switch {
	case s != "" && path != "":
		return webhook.Key{}, fmt.Errorf("%s and %s%s are both set", name, name, fileSuffix)
	case path != "":
		data, err := os.ReadFile(path) //nolint:gosec // the operator names it
		if err != nil {
			return webhook.Key{}, fmt.Errorf("%s%s: %w", name, fileSuffix, err)
		}
		s = string(data)
	case s == "":
		return webhook.Key{}, errUnset
	}
	key, err := webhook.ParseSecret(secret.New(s))
	if err != nil {
		return key, fmt.Errorf("%s: %w", name, err)
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
