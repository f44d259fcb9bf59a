package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/headrace/headrace/internal/secret"
)

// Secret is a field whose value comes from its environment variable, from the
// variable that the field of the same name with _env at its end names, or from
// the file of the one with _file. It is never in the configuration file itself.
type Secret struct{ secret.String }

// UnmarshalYAML implements yaml.Unmarshaler. It refuses whatever is there.
func (Secret) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode && n.Value == "" {
		return nil
	}
	return &yaml.TypeError{Errors: []string{fmt.Sprintf(
		"line %d: a secret does not belong into this file; put it into an environment variable or a file of its own, "+
			"and name that with the same key and _env or _file at its end", n.Line)}}
}

// Ends of the names of the fields that say where a secret is.
const (
	envSuffix  = "_env"
	fileSuffix = "_file"
)

// source is a way in which a secret may be given.
type source struct {
	where string // as the operator named it
	rank  int
	read  func() (string, error)
}

// readSecrets reads every secret from the source of the highest rank.
func (l *loader) readSecrets() {
	byPath := map[string]reflect.Value{}
	l.walk(func(f field) { byPath[f.path] = f.value })
	l.walk(func(f field) {
		s, ok := reflect.TypeAssert[*Secret](f.value.Addr())
		if !ok {
			return
		}
		found, err := best(l.sources(f, byPath))
		if err == nil && found != nil {
			err = l.keep(f.path, s, *found)
		}
		l.fail(err)
	})
}

// sources are those that are given for a secret.
func (l *loader) sources(f field, byPath map[string]reflect.Value) []source {
	var all []source
	if value := l.env(f.env); value != "" {
		all = append(all, source{f.env, rankEnv, func() (string, error) { return value, nil }})
	}
	if name := text(byPath[f.path+envSuffix]); name != "" {
		all = append(all, source{l.config.Where(f.path + envSuffix), l.origins[f.path+envSuffix].rank, func() (string, error) {
			if value := l.env(name); value != "" {
				return value, nil
			}
			return "", fmt.Errorf("the environment variable %s is not set: set it, or name another", name)
		}})
	}
	if name := text(byPath[f.path+fileSuffix]); name != "" {
		all = append(all, source{l.config.Where(f.path + fileSuffix), l.origins[f.path+fileSuffix].rank, func() (string, error) {
			value, err := os.ReadFile(name) //nolint:gosec // the operator's choice
			if err != nil {
				return "", fmt.Errorf("%w: put the secret there, or name another file", err)
			}
			return string(value), nil
		}})
	}
	return all
}

// text is what a field has, "" if there is no such field.
func text(v reflect.Value) string {
	if !v.IsValid() {
		return ""
	}
	return v.String()
}

// best is the source of the highest rank, nil if there is none.
func best(all []source) (*source, error) {
	var found *source
	for i, s := range all {
		switch {
		case found == nil || s.rank > found.rank:
			found = &all[i]
		case s.rank == found.rank:
			return nil, fmt.Errorf("%s and %s exclude each other: leave one of them out", found.where, s.where)
		}
	}
	return found, nil
}

// keep reads a source into a secret. Files end in a line break.
func (l *loader) keep(path string, s *Secret, from source) error {
	value, err := from.read()
	if value = strings.TrimSpace(value); err == nil && value == "" {
		err = errors.New("it is empty: put the secret there")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", from.where, err)
	}
	s.String = secret.New(value)
	l.origins[path] = origin{from.rank, from.where}
	return nil
}
