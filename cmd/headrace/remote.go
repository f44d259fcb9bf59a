package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/pflag"

	"github.com/headrace/headrace/internal/client"
	"github.com/headrace/headrace/internal/config"
	"github.com/headrace/headrace/internal/openai"
)

// remoteFlags are those of commands that speak to a running headrace.
type remoteFlags struct {
	server string
	json   bool
}

func (f *remoteFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.server, "server", "", "URL of the running headrace (default $"+config.EnvServer+", or http://"+defaultListen+")")
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
	return client.New(url), nil
}

// hintServer adds the next step to the error of a server that does not answer.
func hintServer(err error) error {
	var refused *openai.Error
	if err == nil || errors.As(err, &refused) {
		return err
	}
	return hintedError{err, "Is headrace running there? 'headrace dev' starts it."}
}

// writeJSON writes v for programs to read, and people who must.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
