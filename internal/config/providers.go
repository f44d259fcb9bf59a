package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/headrace/headrace/internal/dispatch"
	"github.com/headrace/headrace/internal/llm/provider"
	"github.com/headrace/headrace/internal/price"
)

// Providers are those that calls go to. The first is that of calls which nothing else
// sends elsewhere.
type Providers struct {
	All []Upstream
	// Assignments put calls into queues that name none themselves.
	Assignments []dispatch.Assignment
}

// NewProviders returns the providers of the file. If it has none, there is one, which
// NewUpstream returns.
func NewProviders(flag string, f Config, env Env) (Providers, error) {
	var ps Providers
	if len(f.Providers) == 0 {
		u, err := NewUpstream(flag, env)
		if err != nil {
			return ps, err
		}
		ps.All = []Upstream{u}
	} else if flag != "" {
		return ps, errors.New("--upstream and the providers of the configuration file exclude each other: leave one of them out")
	}
	for i, entry := range f.Providers {
		u, err := entry.upstream()
		if err != nil {
			return ps, fmt.Errorf("%s: %w", at("providers", i, entry.Name), err)
		}
		if slices.ContainsFunc(ps.All, func(other Upstream) bool { return other.Name() == u.Name() }) {
			return ps, fmt.Errorf("providers[%d].name: %q is taken: give each provider a name of its own", i, entry.Name)
		}
		ps.All = append(ps.All, u)
	}
	for i, entry := range f.Routes {
		a, err := ps.assignment(entry)
		if err != nil {
			return ps, fmt.Errorf("routes[%d].%w", i, err)
		}
		ps.Assignments = append(ps.Assignments, a)
	}
	return ps, nil
}

// at names an element of a list.
func at(list string, i int, name string) string {
	if name == "" {
		return fmt.Sprintf("%s[%d]", list, i)
	}
	return fmt.Sprintf("%s[%d] (%s)", list, i, name)
}

// Simulated reports whether calls go to the simulator.
func (ps Providers) Simulated() bool { return len(ps.All) == 1 && ps.All[0].Simulated }

// Name tells a person where calls go.
func (ps Providers) Name() string {
	names := make([]string, len(ps.All))
	for i, u := range ps.All {
		names[i] = u.Name()
	}
	return strings.Join(names, ", ")
}

// upstream checks an entry.
func (e ProviderEntry) upstream() (Upstream, error) {
	u := Upstream{Label: e.Name, Rewrite: e.Rewrite, Config: provider.Config{
		BaseURL: e.BaseURL, Shape: provider.Shape(e.Shape), APIVersion: e.APIVersion, Organization: e.Organization,
		Key:            e.Key.String,
		ConnectTimeout: time.Duration(e.ConnectTimeout), Timeout: time.Duration(e.Timeout), Silence: time.Duration(e.Silence),
	}}
	shapes := []provider.Shape{provider.OpenAI, provider.Azure, provider.AzureAD, provider.Anthropic}
	azure := u.Shape == provider.Azure || u.Shape == provider.AzureAD
	switch {
	case !validName(e.Name):
		return u, fmt.Errorf("name: %q is no name: use %s, by which requests can name the provider", e.Name, nameRule)
	case u.Shape != "" && !slices.Contains(shapes, u.Shape):
		return u, fmt.Errorf("shape: %q is none: use openai, azure, azure_ad or anthropic", e.Shape)
	case e.BaseURL != "" && !ValidURL(e.BaseURL):
		return u, fmt.Errorf("base_url: %q is no URL such as https://api.openai.com/v1", e.BaseURL)
	case azure && e.BaseURL == "":
		return u, fmt.Errorf("base_url: shape %s needs that of your resource, such as https://name.openai.azure.com", e.Shape)
	}
	for from, to := range e.Rewrite {
		if from == "" || to == "" {
			return u, errors.New("rewrite: a model has no name: give both names, or take the pair out")
		}
	}
	var err error
	if u.Models, err = modelPatterns(e.Models); err != nil {
		return u, err
	}
	if u.Prices, err = priceTable(e.Prices); err != nil {
		return u, err
	}
	if u.Header, err = e.header(); err != nil {
		return u, err
	}
	u.Proxy, err = e.proxy()
	return u, err
}

// priceTable is what the tokens of a provider cost.
func priceTable(entries []PriceEntry) (price.Table, error) {
	var all price.Table
	for i, e := range entries {
		models, err := dispatch.ParsePattern(e.Model)
		if err != nil {
			return nil, fmt.Errorf("prices[%d].model: %w", i, err)
		}
		p := price.Price{}
		cached := price.Rate{}
		for _, rate := range []struct {
			name, text string
			to         *price.Rate
		}{{"input", e.Input, &p.Input}, {"output", e.Output, &p.Output}, {"cached_input", cmp.Or(e.CachedInput, e.Input), &cached}} {
			if *rate.to, err = price.ParseRate(rate.text); err != nil {
				return nil, fmt.Errorf("prices[%d].%s: %w", i, rate.name, err)
			}
		}
		p.Cached = &cached
		all = append(all, price.Entry{Models: models, Price: p})
	}
	return all, nil
}

// ownHeaders are those that each call sets itself.
var ownHeaders = []string{"Content-Type", "Content-Length", "Transfer-Encoding", "Connection", "Host"}

// header is what is sent with every call.
func (e ProviderEntry) header() (http.Header, error) {
	h := http.Header{}
	for name, value := range e.Headers {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			return nil, fmt.Errorf("headers: %q is no name of a header", name)
		case slices.Contains(ownHeaders, canonical):
			return nil, fmt.Errorf("headers: %s is set by each call itself: leave it out", canonical)
		case !httpguts.ValidHeaderFieldValue(value):
			return nil, fmt.Errorf("headers: the value of %s has characters that no header can carry", canonical)
		}
		h.Set(name, value)
	}
	return h, nil
}

// noProxy says that a provider is called directly whatever the environment says.
const noProxy = "none"

// proxy finds the proxy of a call; nil is the environment's.
func (e ProviderEntry) proxy() (func(*http.Request) (*url.URL, error), error) {
	switch e.Proxy {
	case "":
		return nil, nil //nolint:nilnil // as the field's comment says
	case noProxy:
		return func(*http.Request) (*url.URL, error) { return nil, nil }, nil //nolint:nilnil // as net/http has it
	}
	u, err := url.Parse(e.Proxy)
	if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "socks5"}, u.Scheme) {
		return nil, fmt.Errorf("proxy: expected %q, or a URL such as http://proxy:3128", noProxy)
	}
	return http.ProxyURL(u), nil
}

func modelPatterns(texts []string) ([]dispatch.Pattern, error) {
	var all []dispatch.Pattern
	for i, text := range texts {
		p, err := dispatch.ParsePattern(text)
		if err != nil {
			return nil, fmt.Errorf("models[%d]: %w", i, err)
		}
		all = append(all, p)
	}
	return all, nil
}

// assignment checks a route.
func (ps Providers) assignment(e RouteEntry) (dispatch.Assignment, error) {
	a := dispatch.Assignment{Provider: e.Provider, Queue: e.Queue}
	switch {
	case !validName(e.Queue):
		return a, fmt.Errorf("queue: %q is no name of a queue: use %s", e.Queue, nameRule)
	case e.Model == "" && e.Provider == "":
		return a, errors.New("model: a route needs a model or a provider: say which calls are meant")
	case e.Provider != "" && !slices.ContainsFunc(ps.All, func(u Upstream) bool { return u.Name() == e.Provider }):
		return a, fmt.Errorf("provider: none is named %q: use one of %s", e.Provider, cmp.Or(ps.Name(), "the providers"))
	}
	if e.Model == "" {
		return a, nil
	}
	var err error
	if a.Model, err = dispatch.ParsePattern(e.Model); err != nil {
		return a, fmt.Errorf("model: %w", err)
	}
	return a, nil
}

// Names that requests may use, of queues as of providers.
const (
	longestName = 64
	nameRule    = "1 to 64 letters, digits, '.', '_' and '-'"
)

func validName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("._-", c) < 0 {
			return false
		}
	}
	return s != "" && len(s) <= longestName
}
