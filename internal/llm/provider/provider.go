package provider

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	goopenai "github.com/sashabaranov/go-openai"

	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/secret"
)

// Shape is how a provider wants to be called.
type Shape string

// Shapes of providers.
const (
	OpenAI    Shape = "openai"
	Azure     Shape = "azure"
	AzureAD   Shape = "azure_ad"
	Anthropic Shape = "anthropic"
)

// Config says where and as whom to call.
type Config struct {
	// BaseURL ends where the endpoint's path without /v1 begins, such as
	// https://api.openai.com/v1. Empty means the shape's own default.
	BaseURL string
	Key     secret.String
	Shape   Shape // empty means OpenAI
	// APIVersion is Azure's and Anthropic's; empty means go-openai's default.
	APIVersion string
	// Organization is sent as OpenAI-Organization when set.
	Organization string
	// UserAgent names the caller to the provider.
	UserAgent string
	// Header is sent with every call, in place of whatever else would be sent
	// under the same names.
	Header http.Header
	// Proxy finds the proxy of a request; nil does as the environment says.
	Proxy func(*http.Request) (*url.URL, error)
	// ConnectTimeout bounds connecting; zero means 10 seconds.
	ConnectTimeout time.Duration
	// Timeout bounds every call; zero leaves it to the call's own timeout, which may
	// be shorter anyway.
	Timeout time.Duration
	// Silence is the longest that a provider may send nothing within a stream,
	// or before it; zero means 5 minutes. A call's own timeout may be shorter.
	Silence time.Duration
}

// longestSilence is what a model may think at most without a word.
const longestSilence = 5 * time.Minute

// Provider calls one provider. It implements llm.Client, llm.Streamer and
// llm.ModelLister.
type Provider struct {
	client    *goopenai.Client
	transport *http.Transport
	silence   time.Duration
	timeout   time.Duration // 0 for none
	azure     bool
	versioned bool // URLs carry an API version
}

// New returns a Provider. Nothing is dialled before the first call.
func New(c Config) (*Provider, error) {
	conf, err := c.client()
	if err != nil {
		return nil, err
	}
	p := &Provider{
		transport: c.transport(), silence: cmp.Or(c.Silence, longestSilence), timeout: c.Timeout, versioned: conf.APIVersion != "",
	}
	p.azure = conf.APIType == goopenai.APITypeAzure || conf.APIType == goopenai.APITypeAzureAD
	conf.HTTPClient = &exchanger{
		client: &http.Client{Transport: p.transport, CheckRedirect: refuseRedirect},
		header: c.headers(),
	}
	p.client = goopenai.NewClientWithConfig(conf)
	return p, nil
}

// Close closes idle connections.
func (p *Provider) Close() { p.transport.CloseIdleConnections() }

func (c Config) client() (goopenai.ClientConfig, error) {
	var conf goopenai.ClientConfig
	switch c.Shape {
	case OpenAI, "":
		conf = goopenai.DefaultConfig(c.Key.Reveal())
		if c.BaseURL != "" {
			conf.BaseURL = c.BaseURL
		}
	case Azure, AzureAD:
		if c.BaseURL == "" {
			return conf, fmt.Errorf("provider of shape %s: a base URL is needed", c.Shape)
		}
		conf = goopenai.DefaultAzureConfig(c.Key.Reveal(), c.BaseURL)
		// go-openai puts the deployment into the URL as it is, and it comes from
		// whoever wrote the request.
		deployment := conf.AzureModelMapperFunc
		conf.AzureModelMapperFunc = func(model string) string { return url.PathEscape(deployment(model)) }
		if c.Shape == AzureAD {
			conf.APIType = goopenai.APITypeAzureAD
		}
	case Anthropic:
		conf = goopenai.DefaultAnthropicConfig(c.Key.Reveal(), c.BaseURL)
	default:
		return conf, fmt.Errorf("provider shape %q: expected openai, azure, azure_ad or anthropic", c.Shape)
	}
	if c.APIVersion != "" {
		conf.APIVersion = c.APIVersion
	}
	conf.OrgID = c.Organization
	return conf, nil
}

// headers are those that go-openai does not send by itself.
func (c Config) headers() http.Header {
	h := http.Header{}
	if c.UserAgent != "" {
		h.Set("User-Agent", c.UserAgent)
	}
	if c.Shape == Anthropic && !c.Key.Empty() {
		h.Set("X-Api-Key", c.Key.Reveal())
	}
	for name, values := range c.Header {
		h[http.CanonicalHeaderKey(name)] = values
	}
	return h
}

// Call implements llm.Client.
func (p *Provider) Call(ctx context.Context, r llm.Request) (llm.Response, error) {
	call, ok := endpoints[r.Endpoint]
	if !ok {
		return llm.Response{}, fmt.Errorf("endpoint %q cannot be called", r.Endpoint)
	}
	x := &exchange{body: r.Body}
	callCtx, cancel := context.WithTimeout(context.WithValue(ctx, exchangeKey{}, x), p.bound(r.Timeout))
	defer cancel()
	err := call(callCtx, p.client, p.model(r))
	if ctx.Err() != nil && !x.whole() { // a whole answer is paid for
		return llm.Response{}, ctx.Err()
	}
	return x.outcome(err)
}

// bound is how long a call may take that asks for a time of its own.
func (p *Provider) bound(asked time.Duration) time.Duration {
	if p.timeout == 0 {
		return asked
	}
	return min(asked, p.timeout)
}

// model is what go-openai is told. It refuses models that it believes unfit
// for an endpoint, so it hears the name only where the URL needs it.
func (p *Provider) model(r llm.Request) string {
	if p.azure {
		return r.Model
	}
	return ""
}

// endpoints calls go-openai's method for each endpoint. What it encodes is
// replaced on the way, what it decodes was kept before.
var endpoints = map[openai.Endpoint]func(context.Context, *goopenai.Client, string) error{
	openai.ChatCompletions: func(ctx context.Context, c *goopenai.Client, model string) error {
		_, err := c.CreateChatCompletion(ctx, goopenai.ChatCompletionRequest{Model: model})
		return err
	},
	openai.Completions: func(ctx context.Context, c *goopenai.Client, model string) error {
		_, err := c.CreateCompletion(ctx, goopenai.CompletionRequest{Model: model, Prompt: ""})
		return err
	},
	openai.Embeddings: func(ctx context.Context, c *goopenai.Client, model string) error {
		_, err := c.CreateEmbeddings(ctx, goopenai.EmbeddingRequest{Model: goopenai.EmbeddingModel(model)})
		return err
	},
	openai.Moderations: func(ctx context.Context, c *goopenai.Client, _ string) error {
		_, err := c.Moderations(ctx, goopenai.ModerationRequest{})
		return err
	},
	openai.Responses: func(ctx context.Context, c *goopenai.Client, model string) error {
		_, err := c.CreateResponse(ctx, goopenai.CreateResponseRequest{Model: model})
		return err
	},
}

// Times of connections.
const (
	dialTimeout = 10 * time.Second
	tlsTimeout  = 10 * time.Second
	keepAlive   = 30 * time.Second
	idleTimeout = 90 * time.Second
)

// transport keeps as many connections alive as calls were in flight at
// once: there is no other bound, so none is closed to be dialled again. It
// speaks HTTP/1.1: one connection per call has no stream limit to queue behind,
// and cancelling a call closes its socket.
func (c Config) transport() *http.Transport {
	proxy := c.Proxy
	if proxy == nil {
		proxy = http.ProxyFromEnvironment
	}
	t := &http.Transport{
		Proxy:               proxy,
		DialContext:         (&net.Dialer{Timeout: cmp.Or(c.ConnectTimeout, dialTimeout), KeepAlive: keepAlive}).DialContext,
		TLSHandshakeTimeout: tlsTimeout,
		IdleConnTimeout:     idleTimeout,
		MaxIdleConnsPerHost: maxIdleConns,
		Protocols:           new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	return t
}

// maxIdleConns is beyond any concurrency: net/http has no word for unlimited.
const maxIdleConns = 1 << 20

var errRedirect = errors.New("the provider redirects; set its final URL as base URL")

func refuseRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
