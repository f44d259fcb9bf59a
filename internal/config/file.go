package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Parse reads the text of a configuration file into the defaults. Its errors name
// lines, and repeat nothing that could be a key.
func Parse(text []byte) (Config, error) {
	c := Default()
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return Config{}, plain(err)
	}
	if err := d.Decode(&Config{}); !errors.Is(err, io.EOF) {
		return Config{}, errors.New("there is more after the first document: keep everything above the line ---")
	}
	return c, nil
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
	case goType == "bool":
		return "true or false"
	case goType == "int", goType == "int64", goType == "float64":
		return "a number"
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
