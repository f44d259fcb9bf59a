package config

import (
	"fmt"
	"reflect"
	"strings"
)

// DefaultOf is the default of a field as text, "" for an unknown one.
func DefaultOf(path string) string {
	v := defaultValue(path)
	if !v.IsValid() || v.IsZero() {
		return ""
	}
	return leaf(field{path: path, value: v}).Value
}

// KindOf names what a field takes, for the help of a flag: "string", "int", "bool".
func KindOf(path string) string {
	v := defaultValue(path)
	switch {
	case !v.IsValid():
		return ""
	case v.Type() == reflect.TypeFor[Duration]():
		return "duration"
	case v.Kind() == reflect.Int64:
		return "int"
	default:
		return v.Kind().String()
	}
}

func defaultValue(path string) (found reflect.Value) {
	c := Default()
	fields(&c, func(f field) {
		if f.path == path {
			found = f.value
		}
	})
	return found
}

// Reference is a table of all fields in Markdown, for the documentation.
func Reference() string {
	var b strings.Builder
	b.WriteString("| field | variable | default | |\n|---|---|---|---|\n")
	c := Default()
	reference(&b, field{env: envPrefix, value: reflect.ValueOf(&c).Elem()})
	return b.String()
}

func reference(b *strings.Builder, f field) {
	for i := range f.value.NumField() {
		inner, ok := f.member(i)
		if !ok {
			continue
		}
		switch t := inner.value.Type(); {
		case isSection(t):
			fmt.Fprintf(b, "| **`%s`** | | | %s |\n", inner.path, inner.doc)
			reference(b, inner)
		case isList(t):
			fmt.Fprintf(b, "| **`%s[]`** | | | %s |\n", inner.path, inner.doc)
			element := inner.element(0, reflect.New(t.Elem()).Elem())
			element.path = inner.path + "[]"
			reference(b, element)
		default:
			fmt.Fprintf(b, "| `%s` | `%s` | %s | %s |\n", inner.path, inner.env, defaultText(inner), strings.ReplaceAll(inner.doc, "|", `\|`))
		}
	}
}

// defaultText is a default as the table has it.
func defaultText(f field) string {
	if f.value.IsZero() {
		return ""
	}
	return "`" + leaf(f).Value + "`"
}
