package config

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/headrace/headrace/internal/dispatch"
	"github.com/headrace/headrace/internal/llm/provider"
	"github.com/headrace/headrace/internal/price"
	"github.com/headrace/headrace/internal/secret"
)

// The environment that is read. The names are those of OpenAI's own SDKs.
const (
	EnvBaseURL      = "OPENAI_BASE_URL"
	EnvAPIKey       = "OPENAI_API_KEY" //nolint:gosec // a name
	EnvOrganization = "OPENAI_ORG_ID"
	EnvAPIType      = "OPENAI_API_TYPE"
	EnvAPIVersion   = "OPENAI_API_VERSION"
)

// Upstream is the provider that calls go to.
type Upstream struct {
	provider.Config
	// Simulated says that nobody has named a provider: calls go to the
	// simulator.
	Simulated bool
	// Label is the name that the configuration file gives, "" without one.
	Label string
	// Models and Rewrite are those of dispatch.Route.
	Models  []dispatch.Pattern
	Rewrite map[string]string
	// Prices are those of its tokens.
	Prices price.Table
}

// NewUpstream returns the upstream that flag (empty if not given) and the
// environment name. With neither a URL nor a key it is simulated; with a key
// alone it is OpenAI.
func NewUpstream(flag string, env Env) (Upstream, error) {
	u := Upstream{Config: provider.Config{
		BaseURL: env(EnvBaseURL), Key: secret.New(strings.TrimSpace(env(EnvAPIKey))), // files end in a line break
		Shape: provider.Shape(env(EnvAPIType)), APIVersion: env(EnvAPIVersion), Organization: env(EnvOrganization),
	}}
	from := EnvBaseURL
	if flag != "" {
		u.BaseURL, from = flag, "--upstream"
	}
	if u.BaseURL == "" && u.Key.Empty() {
		u.Simulated = true
		return u, nil
	}
	if u.BaseURL != "" && !ValidURL(u.BaseURL) {
		return u, fmt.Errorf("%s %q is no URL such as https://api.openai.com/v1", from, u.BaseURL)
	}
	return u, nil
}

// ValidURL reports whether s is an HTTP URL with a host.
func ValidURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// Name tells a person where calls go. A password in the URL is masked.
func (u Upstream) Name() string {
	parsed, err := url.Parse(u.BaseURL)
	switch {
	case u.Label != "":
		return u.Label
	case u.Simulated:
		return "the simulator"
	case u.BaseURL == "" && u.Shape == provider.Anthropic:
		return "Anthropic"
	case u.BaseURL == "":
		return "OpenAI"
	case err != nil:
		return "an unknown provider" // and not from NewUpstream
	default:
		return parsed.Redacted()
	}
}
