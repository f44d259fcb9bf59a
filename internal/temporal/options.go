// Package temporal connects to a Temporal cluster, the way Temporal's own tools
// do, and says in words what is wrong when that fails.
//
// Read options.go, then connect.go and diagnose.go.
package temporal

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"

	"github.com/headrace/headrace/internal/secret"
)

// Options say where Temporal is, and as whom to connect. What is empty is taken
// from Temporal's own environment variables, then from its configuration file,
// then from defaults. The zero Options are those of a server on this machine.
type Options struct {
	Address   string // host:port
	Namespace string
	Profile   string // of Temporal's configuration file
	APIKey    secret.String
	TLS       TLS
	Env       Environment

	// Client has what does not depend on where Temporal is: the logger, the
	// converter of payloads, interceptors, metrics.
	Client client.Options
}

// TLS switches TLS on unless it is zero.
type TLS struct {
	Enabled                   bool
	CertFile, KeyFile, CAFile string
	ServerName                string
}

// Environment is where Temporal's own variables are looked up. The zero
// Environment has none.
type Environment struct {
	Lookup func(name string) string // "" if it is not set
	All    func() []string          // as os.Environ has them
}

// Environ implements envconfig.EnvLookup.
func (e Environment) Environ() []string {
	if e.All == nil {
		return nil
	}
	return e.All()
}

// LookupEnv implements envconfig.EnvLookup. A variable that is empty is not set.
func (e Environment) LookupEnv(name string) (string, bool) {
	if e.Lookup == nil {
		return "", false
	}
	value := e.Lookup(name)
	return value, value != ""
}

// What Temporal's tools take if nobody says anything.
const (
	defaultAddress   = "127.0.0.1:7233"
	defaultNamespace = "default"
)

// client makes options of the SDK's client.
func (o Options) client() (client.Options, error) {
	profile, err := o.profile()
	if err != nil {
		return client.Options{}, err
	}
	found, err := profile.ToClientOptions(envconfig.ToClientOptionsRequest{})
	if err != nil {
		return client.Options{}, err
	}
	if err := checkDates(found.ConnectionOptions.TLS, time.Now()); err != nil {
		return client.Options{}, err
	}
	all := o.Client
	all.HostPort, all.Namespace = found.HostPort, found.Namespace
	all.Credentials, all.HeadersProvider = found.Credentials, found.HeadersProvider
	all.ConnectionOptions.TLS, all.ConnectionOptions.TLSDisabled = found.ConnectionOptions.TLS, found.ConnectionOptions.TLSDisabled
	all.ConnectionOptions.Authority = found.ConnectionOptions.Authority
	away := &outage{logger: all.Logger}
	all.ConnectionOptions.DialOptions = append(away.dialOptions(), all.ConnectionOptions.DialOptions...)
	return all, nil
}

// Where is the address and the namespace that everything together says.
func (o Options) Where() (address, namespace string, err error) {
	p, err := o.profile()
	return p.Address, p.Namespace, err
}

// profile is what everything together says.
func (o Options) profile() (envconfig.ClientConfigProfile, error) {
	p, err := envconfig.LoadClientConfigProfile(envconfig.LoadClientConfigProfileOptions{
		ConfigFileProfile: o.Profile, EnvLookup: o.Env, DisableFile: o.Env.Lookup == nil,
	})
	if err != nil {
		return p, err
	}
	p.Address = cmp.Or(o.Address, p.Address, defaultAddress)
	p.Namespace = cmp.Or(o.Namespace, p.Namespace, defaultNamespace)
	p.APIKey = cmp.Or(o.APIKey.Reveal(), p.APIKey)
	if o.TLS != (TLS{}) {
		p.TLS = o.TLS.over(p.TLS)
	}
	return p, nil
}

// over puts what is said over what Temporal's own settings say.
func (t TLS) over(own *envconfig.ClientConfigTLS) *envconfig.ClientConfigTLS {
	all := envconfig.ClientConfigTLS{}
	if own != nil {
		all = *own
	}
	all.Disabled = false
	if t.CertFile != "" {
		all.ClientCertPath, all.ClientKeyPath, all.ClientCertData, all.ClientKeyData = t.CertFile, t.KeyFile, nil, nil
	}
	if t.CAFile != "" {
		all.ServerCACertPath, all.ServerCACertData = t.CAFile, nil
	}
	all.ServerName = cmp.Or(t.ServerName, all.ServerName)
	return &all
}

// checkDates refuses a certificate of our own that no server would accept.
func checkDates(c *tls.Config, now time.Time) error {
	if c == nil || len(c.Certificates) == 0 || c.Certificates[0].Leaf == nil {
		return nil
	}
	leaf := c.Certificates[0].Leaf
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("our certificate (%s) has expired on %s: renew it, and start again", leaf.Subject, leaf.NotAfter.Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("our certificate (%s) is valid only from %s on: check the clock of this machine",
			leaf.Subject, leaf.NotBefore.Format(time.RFC3339))
	default:
		return nil
	}
}

var errNoAnswer = errors.New("the server does not answer")
