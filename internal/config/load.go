package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// envPrefix starts the names of all variables.
const envPrefix = "HEADRACE"

// field is one value of a configuration.
type field struct {
	path, env, doc string
	value          reflect.Value
}

// loader fills a configuration in.
type loader struct {
	config  *Config
	env     Env
	origins map[string]origin
	errs    []error
}

func (l *loader) fail(err error) {
	if err != nil {
		l.errs = append(l.errs, err)
	}
}

func (l *loader) err() error { return errors.Join(l.errs...) }

// walk visits every field that has a value of its own, sections and lists of
// sections in their order.
func (l *loader) walk(visit func(field)) { fields(l.config, visit) }

func fields(c *Config, visit func(field)) {
	walk(field{env: envPrefix, value: reflect.ValueOf(c).Elem()}, visit)
}

func walk(f field, visit func(field)) {
	switch {
	case isSection(f.value.Type()):
		for i := range f.value.NumField() {
			if inner, ok := f.member(i); ok {
				walk(inner, visit)
			}
		}
	case isList(f.value.Type()):
		for i := range f.value.Len() {
			walk(f.element(i, f.value.Index(i)), visit)
		}
	default:
		visit(f)
	}
}

// isSection reports whether a type has fields of its own.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != reflect.TypeFor[Secret]()
}

// isList reports whether a type is a list of sections.
func isList(t reflect.Type) bool { return t.Kind() == reflect.Slice && isSection(t.Elem()) }

// member is the i-th field of a section, false if it is none of the file.
func (f field) member(i int) (field, bool) {
	t := f.value.Type().Field(i)
	name := t.Tag.Get("yaml")
	if name == "" {
		return field{}, false
	}
	inner := field{path: name, env: f.env + "_" + strings.ToUpper(name), doc: t.Tag.Get("doc"), value: f.value.Field(i)}
	if f.path != "" {
		inner.path = f.path + "." + name
	}
	if env := t.Tag.Get("env"); env != "" {
		inner.env = env
	}
	return inner, true
}

// element is the i-th one of a list of sections.
func (f field) element(i int, value reflect.Value) field {
	return field{path: fmt.Sprintf("%s[%d]", f.path, i), env: fmt.Sprintf("%s_%d", f.env, i), value: value}
}

// markFile remembers what the file has changed.
func (l *loader) markFile(name string) {
	defaults := map[string]any{}
	standard := Default()
	fields(&standard, func(f field) { defaults[f.path] = f.value.Interface() })
	l.walk(func(f field) {
		otherwise, ok := defaults[f.path]
		if !ok {
			otherwise = reflect.Zero(f.value.Type()).Interface()
		}
		if !same(otherwise, f.value) {
			l.origins[f.path] = origin{rankFile, name}
		}
	})
}

// same reports whether a value is as another one; an empty list is as none.
func same(other any, v reflect.Value) bool {
	if k := v.Kind(); (k == reflect.Slice || k == reflect.Map) && v.Len() == 0 {
		return reflect.ValueOf(other).Len() == 0
	}
	return reflect.DeepEqual(other, v.Interface())
}

// readEnv takes what the environment says.
func (l *loader) readEnv() { l.fromEnv(field{env: envPrefix, value: reflect.ValueOf(l.config).Elem()}) }

// fromEnv takes what the environment says about a field and all below it, and
// reports whether it says anything.
func (l *loader) fromEnv(f field) bool {
	switch {
	case isSection(f.value.Type()):
		found := false
		for i := range f.value.NumField() {
			if inner, ok := f.member(i); ok {
				found = l.fromEnv(inner) || found
			}
		}
		return found
	case isList(f.value.Type()):
		return l.listFromEnv(f)
	case f.value.Type() == reflect.TypeFor[Secret]():
		return l.env(f.env) != "" // see readSecrets
	}
	value := l.env(f.env)
	if value == "" {
		return false
	}
	l.set(f, value, origin{rankEnv, f.env})
	return true
}

// listFromEnv takes the elements of a list from variables with their numbers. They
// go on where the file ends, or replace what it says.
func (l *loader) listFromEnv(f field) bool {
	found := false
	for i := range f.value.Len() {
		found = l.fromEnv(f.element(i, f.value.Index(i))) || found
	}
	for i := f.value.Len(); ; i++ {
		next := reflect.New(f.value.Type().Elem()).Elem()
		if !l.fromEnv(f.element(i, next)) {
			return found
		}
		f.value.Set(reflect.Append(f.value, next))
		found = true
	}
}

// readSettings takes what flags say.
func (l *loader) readSettings(settings []Setting) {
	byPath := map[string]field{}
	l.walk(func(f field) { byPath[f.path] = f })
	for _, s := range settings {
		l.set(byPath[s.Path], s.Value, origin{rankSetting, s.From})
	}
}

// set sets a field to what a text says.
func (l *loader) set(f field, text string, from origin) {
	if err := setText(f.value, strings.TrimSpace(text)); err != nil {
		l.fail(fmt.Errorf("%s: %w", from.name, err))
		return
	}
	l.origins[f.path] = from
}

// setText sets a value to what a text says.
func setText(v reflect.Value, text string) error {
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch v.Kind() { //nolint:exhaustive // the kinds that fields have
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		on, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		v.SetBool(on)
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("%q is no number", text)
		}
		v.SetInt(n)
	case reflect.Float64:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%q is no number", text)
		}
		v.SetFloat(x)
	case reflect.Slice:
		v.Set(reflect.ValueOf(list(text)))
	case reflect.Map:
		return setPairs(v, text)
	default:
		panic("config: no text for " + v.Type().String())
	}
	return nil
}

// setPairs reads name=value with commas between them.
func setPairs(v reflect.Value, text string) error {
	pairs := map[string]string{}
	for _, item := range list(text) {
		name, value, ok := strings.Cut(item, "=")
		if !ok {
			return fmt.Errorf("%q is no pair name=value", item)
		}
		pairs[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	v.Set(reflect.ValueOf(pairs))
	return nil
}
