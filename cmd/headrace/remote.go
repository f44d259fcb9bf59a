package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/headrace/headrace/internal/client"
	"github.com/headrace/headrace/internal/config"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/secret"
)

// remoteFlags are those of commands that speak to a running headrace.
type remoteFlags struct {
	server string
	json   bool
}

func (f *remoteFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.server, "server", "", "URL of the running headrace (default $"+config.EnvServer+", or http://"+defaultListen+"); its key is $"+envKey)
	fs.BoolVar(&f.json, "json", false, "print JSON")
}

// client returns a client of the server that the flags or the environment name.
func (f *remoteFlags) client(p program) (*client.Client, error) {
	from, url := "--server", f.server
	if url == "" {
		from, url = config.EnvServer, cmp.Or(p.env(config.EnvServer), "http://"+defaultListen)
	}
	if !config.ValidURL(url) {
		return nil, usageError{fmt.Errorf("%s %q is no URL such as http://127.0.0.1:8080", from, url)}
	}
	key, err := shownKey(p.env)
	return client.New(url).WithKey(key), err
}

// envKey is the key that commands show to a running headrace. With keyFile at its
// end it names a file that holds the key.
const (
	envKey  = "HEADRACE_API_KEY"
	keyFile = "_FILE"
)

// shownKey is the key that the environment has for commands, empty for none.
func shownKey(env config.Env) (secret.String, error) {
	key, path := env(envKey), env(envKey+keyFile)
	if key != "" && path != "" {
		return secret.String{}, usageError{fmt.Errorf("%s and %s%s are both set", envKey, envKey, keyFile)}
	}
	if path != "" {
		data, err := os.ReadFile(path) //nolint:gosec // the user names it
		if err != nil {
			return secret.String{}, usageError{fmt.Errorf("%s%s: %w", envKey, keyFile, err)}
		}
		key = string(data)
	}
	return secret.New(strings.TrimSpace(key)), nil // files end in a line break
}

// hintServer adds the next step to the error of a server that does not answer, or
// that wants another key.
func hintServer(err error) error {
	var refused *openai.Error
	if err == nil || errors.As(err, &refused) {
		return hintKey(err)
	}
	return hintedError{err, "Is headrace running there? 'headrace dev' starts it."}
}

// hintKey adds the next step to the error of a server that wants another key.
func hintKey(err error) error {
	refused, ok := errors.AsType[*openai.Error](err)
	switch {
	case ok && refused.Status == http.StatusUnauthorized:
		return hintedError{err, "Set " + envKey + ", or " + envKey + keyFile + ", to a key that this server knows. " +
			"'headrace key new' makes one for its configuration."}
	case ok && refused.Status == http.StatusForbidden:
		return hintedError{err, "Set " + envKey + " to a key that allows this. " +
			"'headrace key new --scopes ...' makes one for the server's configuration."}
	}
	return err
}

// writeJSON writes v for programs to read, and people who must.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
