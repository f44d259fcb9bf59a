package config

import (
	"time"
)

// Config is everything that headrace can be told. A field's yaml tag is its key
// in the file; together with those of its sections, in upper case, it is the name
// of its environment variable, unless env says otherwise; doc says what it is.
type Config struct {
	API        API             `yaml:"api" doc:"The HTTP API."`
	Temporal   Temporal        `yaml:"temporal" doc:"The Temporal cluster of the roles api and worker. What is not said here is taken from Temporal's own environment variables (TEMPORAL_ADDRESS, ...) and its configuration file."`
	Store      Store           `yaml:"store" doc:"Where files and results are kept by the roles api and worker."`
	Worker     Worker          `yaml:"worker" doc:"What makes the calls."`
	Providers  []ProviderEntry `yaml:"providers" doc:"Where calls go. Without any: OPENAI_BASE_URL and OPENAI_API_KEY."`
	Routes     []RouteEntry    `yaml:"routes" doc:"The queues of calls that name none: the first route that matches holds."`
	Outgoing   OutgoingEntry   `yaml:"outgoing" doc:"Which hosts calls to URLs of users may reach."`
	Webhooks   WebhooksEntry   `yaml:"webhooks" doc:"How others hear of the end of batches and tasks."`
	Encryption Encryption      `yaml:"encryption" doc:"Encryption at rest of the store, and of what Temporal keeps."`
	Telemetry  Telemetry       `yaml:"telemetry" doc:"Metrics, health, logs and traces."`

	origins map[string]origin
}

// API is the section of the HTTP API.
type API struct {
	Listen   string     `yaml:"listen" doc:"Address to listen on. One that others can reach needs keys, or insecure."`
	Insecure bool       `yaml:"insecure" doc:"Listen where others can reach it although there are no keys."`
	DrainFor Duration   `yaml:"drain_for" doc:"How long the role api goes on answering when it is told to stop, while /readyz says so, until nobody sends requests there any more."`
	MaxBody  int64      `yaml:"max_body" doc:"The largest body of a request that makes calls, in bytes."`
	Keys     []KeyEntry `yaml:"keys" doc:"Who may use the API. Without any, everybody who reaches it."`
}

// KeyEntry is a key of the API, see apikey.Key.
type KeyEntry struct {
	Name    string   `yaml:"name" doc:"Names the key in logs."`
	Project string   `yaml:"project" doc:"Whose files, batches and tasks the key shows."`
	Hash    string   `yaml:"hash" doc:"What 'headrace key new' printed: sha256: and 64 digits."`
	Scopes  []string `yaml:"scopes" doc:"What the key may do: submit, read, operate, admin."`
	Expires string   `yaml:"expires" doc:"The day (2027-01-31) or time (RFC 3339) from which on it is refused."`
}

// Temporal is the section of the connection to Temporal.
type Temporal struct {
	Address    string `yaml:"address" doc:"host:port of the Temporal frontend; 127.0.0.1:7233 if nothing else says."`
	Namespace  string `yaml:"namespace" doc:"The namespace, which must exist; \"default\" if nothing else says."`
	Profile    string `yaml:"profile" doc:"The profile of Temporal's own configuration file."`
	APIKey     Secret `yaml:"api_key" doc:"An API key, as Temporal Cloud has it. It switches TLS on."`
	APIKeyEnv  string `yaml:"api_key_env" doc:"The environment variable that has the API key."`
	APIKeyFile string `yaml:"api_key_file" doc:"The file that has the API key."`
	TLS        TLS    `yaml:"tls" doc:"TLS, and mTLS with a certificate of our own."`
}

// TLS is how Temporal is connected to.
type TLS struct {
	Enabled    bool   `yaml:"enabled" doc:"Use TLS. It is on anyway if any file or name below is given, or an API key."`
	CertFile   string `yaml:"cert_file" doc:"Our certificate, for mTLS. It is read anew when the process starts."`
	KeyFile    string `yaml:"key_file" doc:"The key of our certificate."`
	CAFile     string `yaml:"ca_file" doc:"The authorities that Temporal's certificate may come from."`
	ServerName string `yaml:"server_name" doc:"The name that Temporal's certificate must have."`
}

// Store is the section of where bytes are kept.
type Store struct {
	URL string `yaml:"url" doc:"A folder that all processes share, s3://bucket, gs://bucket or azblob://container."`
}

// Worker is the section of what makes calls.
type Worker struct {
	TaskConcurrency int      `yaml:"task_concurrency" doc:"The most calls of tasks in flight at once in a process."`
	StopGrace       Duration `yaml:"stop_grace" doc:"How long calls in flight may go on when the process is told to stop."`
	Versioning      bool     `yaml:"versioning" doc:"Take part in Temporal's Worker Versioning: nothing is taken until the build id is made current."`
	Deployment      string   `yaml:"deployment" doc:"The name of the deployment for Worker Versioning."`
	BuildID         string   `yaml:"build_id" doc:"The build id for Worker Versioning. Without one, the version of headrace."`
}

// ProviderEntry is a provider that calls may go to.
type ProviderEntry struct {
	Name           string            `yaml:"name" doc:"By which requests and results name the provider: up to 64 letters, digits, '.', '_' and '-'."`
	BaseURL        string            `yaml:"base_url" doc:"Where the endpoint's path without /v1 begins. Without one, that of OpenAI or Anthropic."`
	Key            Secret            `yaml:"key" doc:"The provider's key. Without one, none is sent."`
	KeyEnv         string            `yaml:"key_env" doc:"The environment variable that has the key."`
	KeyFile        string            `yaml:"key_file" doc:"The file that has the key."`
	Shape          string            `yaml:"shape" doc:"openai, azure, azure_ad or anthropic. Without one, openai."`
	APIVersion     string            `yaml:"api_version" doc:"Azure's or Anthropic's version of the API."`
	Organization   string            `yaml:"organization" doc:"Sent as OpenAI-Organization."`
	Models         []string          `yaml:"models" doc:"Patterns of the models whose calls go here: gpt-*, o[134]*. Without any, what no other provider names."`
	Rewrite        map[string]string `yaml:"rewrite" doc:"Names of models as requests have them, and as the provider knows them."`
	Headers        map[string]string `yaml:"headers" doc:"Sent with every call. Values may be secrets, and are masked when printed."`
	Proxy          string            `yaml:"proxy" doc:"URL of the proxy, or none. Without one, what HTTPS_PROXY and NO_PROXY say."`
	ConnectTimeout Duration          `yaml:"connect_timeout" doc:"The longest that connecting may take. 0s for 10s."`
	Timeout        Duration          `yaml:"timeout" doc:"The longest that a call may take, if its request does not say less. 0s for no bound of the provider."`
	Silence        Duration          `yaml:"silence" doc:"The longest that a stream may say nothing. 0s for 5m."`
	Prices         []PriceEntry      `yaml:"prices" doc:"What tokens cost, for the metrics: the first model that matches holds."`
}

// PriceEntry is what a million tokens of a model cost, in US dollars.
type PriceEntry struct {
	Model       string `yaml:"model" doc:"Pattern of the models, as the provider knows them."`
	Input       string `yaml:"input" doc:"Price of a million prompt tokens."`
	CachedInput string `yaml:"cached_input" doc:"Price of a million prompt tokens that the provider had cached. Without one, that of input."`
	Output      string `yaml:"output" doc:"Price of a million completion tokens."`
}

// RouteEntry says which queue calls belong to that name none.
type RouteEntry struct {
	Model    string `yaml:"model" doc:"Pattern of the models that are meant. Without one, all."`
	Provider string `yaml:"provider" doc:"Name of the provider that is meant. Without one, all."`
	Queue    string `yaml:"queue" doc:"The queue that the calls belong to."`
}

// OutgoingEntry is the section of calls to URLs of users.
type OutgoingEntry struct {
	AllowedHosts   []string `yaml:"allowed_hosts" env:"HEADRACE_ALLOWED_HOSTS" doc:"Hosts that HTTP tasks may call: example.com, *.example.com. None switches HTTP tasks off."`
	AllowedPrivate []string `yaml:"allowed_private" env:"HEADRACE_ALLOWED_PRIVATE" doc:"Hosts, addresses and ranges that may be called although they are not public."`
}

// WebhooksEntry is the section of webhooks.
type WebhooksEntry struct {
	URL         string            `yaml:"url" env:"HEADRACE_WEBHOOK_URL" doc:"The receiver of events of what names none itself."`
	Secret      Secret            `yaml:"secret" env:"HEADRACE_WEBHOOK_SECRET" doc:"Signs the events of projects that have no secret of their own."`
	SecretEnv   string            `yaml:"secret_env" env:"HEADRACE_WEBHOOK_SECRET_ENV" doc:"The environment variable that has the secret."`
	SecretFile  string            `yaml:"secret_file" env:"HEADRACE_WEBHOOK_SECRET_FILE" doc:"The file that has the secret. It may be replaced while headrace runs."`
	SecretFiles map[string]string `yaml:"secret_files" env:"HEADRACE_WEBHOOK_SECRET_FILES" doc:"The files with the secrets of single projects, by project. HEADRACE_WEBHOOK_SECRETS_<PROJECT> has one itself."`
}

// Encryption is the section of encryption at rest.
type Encryption struct {
	Keys         []EncryptionKey `yaml:"keys" doc:"The first one seals what is written, all of them open what is read. Without any, nothing is encrypted."`
	CodecOrigins []string        `yaml:"codec_origins" doc:"Origins of Temporal Web UIs whose pages may ask the API for plain payloads, such as http://127.0.0.1:8233."`
}

// EncryptionKey is one key of the encryption at rest.
type EncryptionKey struct {
	ID      string `yaml:"id" doc:"Names the key in the data. Never give the id of a key to another one."`
	Key     Secret `yaml:"key" doc:"32 bytes in base64, as 'headrace key new --encryption' prints them."`
	KeyEnv  string `yaml:"key_env" doc:"The environment variable that has the key."`
	KeyFile string `yaml:"key_file" doc:"The file that has the key."`
}

// Telemetry is the section of what operators see.
type Telemetry struct {
	Listen string `yaml:"listen" doc:"Address of /metrics, /livez and /readyz, for which no key is needed. None by default."`
	Log    Log    `yaml:"log" doc:"The log, on standard error."`
	Traces Traces `yaml:"traces" doc:"OpenTelemetry traces."`
}

// Log is how much is logged, and how.
type Log struct {
	Level  string `yaml:"level" doc:"debug, info, warn or error. Without one, info for the roles api and worker, and warn for dev."`
	Format string `yaml:"format" doc:"text or json."`
}

// Traces is where traces go.
type Traces struct {
	Endpoint string  `yaml:"endpoint" doc:"URL of an OTLP receiver, such as http://127.0.0.1:4318. None switches traces off."`
	Protocol string  `yaml:"protocol" doc:"http or grpc."`
	Sample   float64 `yaml:"sample" doc:"The share of traces that begin here which are kept, 0 to 1."`
}

// Default is the configuration of somebody who says nothing.
func Default() Config {
	return Config{
		API:       API{Listen: "127.0.0.1:8080", DrainFor: Duration(3 * time.Second), MaxBody: 32 << 20},
		Store:     Store{URL: "headrace-data/store"},
		Worker:    Worker{TaskConcurrency: 512, StopGrace: Duration(30 * time.Second), Deployment: "headrace"},
		Telemetry: Telemetry{Log: Log{Format: "text"}, Traces: Traces{Protocol: "http", Sample: 1}},
	}
}
