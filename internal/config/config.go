// Package config makes settings out of defaults, the configuration file, the
// environment and flags, of which the later ones win. What it returns is plain
// structs; nobody else reads the environment.
//
// Read sections.go, which has every field there is, then load.go, which says
// where values come from, and providers.go.
package config

import (
	"fmt"
	"os"
)

// Env looks an environment variable up, "" if it is not set. It is os.Getenv
// outside tests.
type Env func(name string) string

const (
	// EnvConfig names the configuration file if no flag does.
	EnvConfig = "HEADRACE_CONFIG"
	// EnvServer is the URL of the running headrace that commands speak to.
	EnvServer = "HEADRACE_SERVER"
)

// Setting is a value that a flag gives to a field.
type Setting struct {
	Path  string // of the field, such as api.listen
	Value string
	From  string // how the user named it, such as --listen
}

// Load makes the configuration: the defaults, then the file that path or else
// EnvConfig names, then the environment, then settings. An error names every
// mistake that was found, one on each line, by where it stands, and repeats
// nothing that could be a secret.
func Load(path string, env Env, settings ...Setting) (Config, error) {
	text, name, err := readFile(path, env)
	if err != nil {
		return Config{}, err
	}
	c, err := Parse(text)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", name, err)
	}
	c.origins = map[string]origin{}
	l := loader{config: &c, env: env, origins: c.origins}
	l.markFile(name)
	l.readEnv()
	l.readSettings(settings)
	l.readSecrets()
	l.fail(c.check())
	return c, l.err()
}

// readFile returns the text of the configuration file, and how it is named.
func readFile(path string, env Env) (text []byte, name string, err error) {
	from := "--config"
	if path == "" {
		path, from = env(EnvConfig), EnvConfig
	}
	if path == "" {
		return nil, "", nil
	}
	if text, err = os.ReadFile(path); err != nil { //nolint:gosec // the operator's choice
		return nil, "", fmt.Errorf("%s: %w", from, err)
	}
	return text, path, nil
}

// Ranks of what gives a field its value: the higher one wins.
const (
	rankDefault = iota
	rankFile
	rankEnv
	rankSetting
)

// origin is what gave a field its value.
type origin struct {
	rank int
	name string // "" for a default
}

// Where says how the operator named a field: by a flag, a variable, or its path in
// the file.
func (c *Config) Where(path string) string {
	if o := c.origins[path]; o.rank > rankFile {
		return o.name
	}
	return path
}

// From says what gave a field its value: a flag, a variable, the path of the
// file, or "" if it has its default.
func (c *Config) From(path string) string { return c.origins[path].name }
