package config

import (
	"fmt"
	"io"
	"net/url"
	"reflect"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// mask stands for what must not be printed.
const mask = "***"

// Print writes the configuration as a file would have it, with what gave each
// field its value unless that was the default. Secrets, values of headers and
// passwords in URLs are masked.
func (c *Config) Print(w io.Writer) error {
	return encode(w, field{env: envPrefix, value: reflect.ValueOf(c).Elem()}, func(f field, _, value *yaml.Node) {
		if from := c.From(f.path); from != "" {
			value.LineComment = "from " + from
		}
	})
}

// Explain writes a file with every field that there is, its default, what it is
// for and the name of its variable. It is a file of the defaults.
func Explain(w io.Writer) error {
	c := Default()
	return encode(w, field{env: envPrefix, value: reflect.ValueOf(&c).Elem()}, explain)
}

// explain puts what a field is for above it. A list has an element in its comment.
func explain(f field, name, _ *yaml.Node) {
	text := f.doc
	if isLeaf(f.value.Type()) {
		text += " $" + f.env
	}
	name.HeadComment = fold(text)
	if !isList(f.value.Type()) {
		return
	}
	element := f.element(0, reflect.New(f.value.Type().Elem()).Elem())
	var b strings.Builder
	if err := encode(&b, element, explain); err != nil {
		panic(err) // zero values always encode
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	name.HeadComment += "\n  - " + strings.Join(lines, "\n    ")
}

// fold breaks a text into lines that are easy to read.
func fold(text string) string {
	const width = 90
	var b strings.Builder
	n := 0
	for word := range strings.FieldsSeq(text) {
		switch {
		case n > 0 && n+len(word) >= width:
			b.WriteByte('\n')
			n = 0
		case n > 0:
			b.WriteByte(' ')
			n++
		}
		b.WriteString(word)
		n += len(word)
	}
	return b.String()
}

// annotate adds comments to a field.
type annotate func(f field, name, value *yaml.Node)

// encode writes a section as YAML.
func encode(w io.Writer, f field, a annotate) error {
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(node(f, a)); err != nil {
		return fmt.Errorf("print configuration: %w", err)
	}
	return e.Close()
}

// node is a field as YAML.
func node(f field, a annotate) *yaml.Node {
	n := &yaml.Node{}
	switch {
	case isSection(f.value.Type()):
		n.Kind = yaml.MappingNode
		for i := range f.value.NumField() {
			if inner, ok := f.member(i); ok {
				name := &yaml.Node{Kind: yaml.ScalarNode, Value: lastPart.FindString(inner.path)}
				value := node(inner, a)
				a(inner, name, value)
				n.Content = append(n.Content, name, value)
			}
		}
	case isList(f.value.Type()) && f.value.Len() > 0:
		n.Kind = yaml.SequenceNode
		for i := range f.value.Len() {
			n.Content = append(n.Content, node(f.element(i, f.value.Index(i)), a))
		}
	default:
		return leaf(f)
	}
	return n
}

var lastPart = regexp.MustCompile(`[^.]+$`)

// isLeaf reports whether a value of a type stands on one line.
func isLeaf(t reflect.Type) bool { return !isSection(t) && !isList(t) }

// leaf is a value on one line, masked where it has to be.
func leaf(f field) *yaml.Node {
	n := &yaml.Node{}
	if err := n.Encode(masked(f)); err != nil {
		panic(err) // plain values always encode
	}
	n.Style |= yaml.FlowStyle
	return n
}

// masked is a value as it may be printed.
func masked(f field) any {
	switch v := f.value.Interface().(type) {
	case Secret:
		return v.String.String()
	case Duration:
		return v.String()
	case map[string]string:
		if lastPart.FindString(f.path) != "headers" {
			return v
		}
		hidden := map[string]string{}
		for name := range v {
			hidden[name] = mask
		}
		return hidden
	case string:
		return withoutPassword(v)
	default:
		return v
	}
}

// withoutPassword is a text in which no URL has a password.
func withoutPassword(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.User == nil {
		return s
	}
	return u.Redacted()
}
