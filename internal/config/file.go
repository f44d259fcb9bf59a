package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// EnvConfig names the configuration file if no flag does.
const EnvConfig = "HEADRACE_CONFIG"

// File is what a configuration file says. The zero File says nothing.
type File struct {
	Providers []ProviderEntry `yaml:"providers"`
	Routes    []RouteEntry    `yaml:"routes"`
}

// ProviderEntry is a provider as the file has it.
type ProviderEntry struct {
	Name    string `yaml:"name"`
	BaseURL string `yaml:"base_url"`
	// KeyEnv is the environment variable that has the key, KeyFile a file that holds
	// it. The key itself is refused: see Key.
	KeyEnv       string            `yaml:"key_env"`
	KeyFile      string            `yaml:"key_file"`
	Key          misplaced         `yaml:"key"`
	Shape        string            `yaml:"shape"`
	APIVersion   string            `yaml:"api_version"`
	Organization string            `yaml:"organization"`
	Models       []string          `yaml:"models"`
	Rewrite      map[string]string `yaml:"rewrite"`
}

// RouteEntry says which queue calls belong to that name none.
type RouteEntry struct {
	Model    string `yaml:"model"`
	Provider string `yaml:"provider"`
	Queue    string `yaml:"queue"`
}

// misplaced is a value that does not belong into the file, and is not kept.
type misplaced struct{}

// UnmarshalYAML implements yaml.Unmarshaler.
func (misplaced) UnmarshalYAML(n *yaml.Node) error {
	return &yaml.TypeError{Errors: []string{fmt.Sprintf(
		"line %d: key: a key does not belong into this file; put it into an environment variable or a file of its own, "+
			"and name that with key_env or key_file", n.Line)}}
}

// ReadFile reads the configuration file that flag or else the environment names. If
// neither does, it returns the zero File.
func ReadFile(flag string, env Env) (File, error) {
	path, from := flag, "--config"
	if path == "" {
		path, from = env(EnvConfig), EnvConfig
	}
	if path == "" {
		return File{}, nil
	}
	text, err := os.ReadFile(path) //nolint:gosec // the operator's choice
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", from, err)
	}
	f, err := ParseFile(text)
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// ParseFile reads the text of a configuration file. Its errors name lines, and repeat
// nothing that could be a key.
func ParseFile(text []byte) (File, error) {
	var f File
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return File{}, plain(err)
	}
	if err := d.Decode(&File{}); !errors.Is(err, io.EOF) {
		return File{}, errors.New("there is more after the first document: keep everything above the line ---")
	}
	return f, nil
}

// What the decoder says, in terms of Go.
var (
	unknownField = regexp.MustCompile(`^line (\d+): field (.*) not found in type .*$`)
	wrongType    = regexp.MustCompile(`(?s)^line (\d+): cannot unmarshal !!(\w+).* into ([^ ]+)$`)
)

// plain says what the decoder says in terms of the file.
func plain(err error) error {
	wrong, ok := errors.AsType[*yaml.TypeError](err)
	if !ok {
		return errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	var all []error
	for _, text := range wrong.Errors {
		if m := unknownField.FindStringSubmatch(text); m != nil {
			text = fmt.Sprintf("line %s: unknown key %q", m[1], m[2])
		} else if m := wrongType.FindStringSubmatch(text); m != nil {
			text = fmt.Sprintf("line %s: expected %s, but got %s", m[1], kindOf(m[3]), word(m[2]))
		}
		all = append(all, errors.New(text))
	}
	return errors.Join(all...)
}

// kindOf names what a field takes, by its type in Go.
func kindOf(goType string) string {
	switch {
	case goType == "string":
		return "a text"
	case goType == "[]string":
		return "a list of texts"
	case goType == "map[string]string":
		return "pairs of texts"
	case goType[0] == '[':
		return "a list"
	default:
		return "keys and values"
	}
}

// word names what a value is, by its tag in YAML.
func word(tag string) string {
	switch tag {
	case "seq":
		return "a list"
	case "map":
		return "keys and values"
	default:
		return "a single value"
	}
}
