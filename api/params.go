package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
)

// bodyLimit bounds the JSON of requests that create or change something.
const bodyLimit = 1 << 20

// params reads a JSON object field by field and keeps the first error, worded
// as OpenAI words it. A field that nobody has asked for is an error too.
type params struct {
	path   string // of the object, with a dot at its end, or ""
	fields map[string]json.RawMessage
	err    *openai.Error
}

// bodyParams reads the body of a request.
func bodyParams(c *gin.Context) (*params, error) {
	body, err := readBody(c)
	if err != nil {
		return nil, err
	}
	return newParams(body)
}

func readBody(c *gin.Context) ([]byte, error) {
	return io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, bodyLimit))
}

// newParams reads a body. An empty one is an empty object.
func newParams(body []byte) (*params, error) {
	p := &params{fields: map[string]json.RawMessage{}}
	if len(bytes.TrimSpace(body)) == 0 {
		return p, nil
	}
	if err := json.Unmarshal(body, &p.fields); err != nil || p.fields == nil {
		return nil, openai.InvalidRequest("", "", "We could not parse the JSON body of your request: expected one JSON object.")
	}
	return p, nil
}

// take returns a field and forgets it. An absent field and null are nil.
func (p *params) take(name string) json.RawMessage {
	raw := p.fields[name]
	delete(p.fields, name)
	if string(raw) == "null" {
		return nil
	}
	return raw
}

// into decodes a field into v, which is of the expected kind. It returns false if
// the field is absent or does not fit.
func (p *params) into(name string, expected openai.Kind, v any) bool {
	raw := p.take(name)
	if raw == nil {
		return false
	}
	if err := json.Unmarshal(raw, v); err != nil {
		p.fail(openai.InvalidType(p.path+name, expected, raw))
		return false
	}
	return true
}

// has reports whether a field is there, and forgets one that is null.
func (p *params) has(name string) bool {
	raw := p.fields[name]
	if string(raw) == "null" {
		delete(p.fields, name)
		return false
	}
	return raw != nil
}

func (p *params) fail(e *openai.Error) {
	if p.err == nil {
		p.err = e
	}
}

// text reads a string, "" if absent.
func (p *params) text(name string) string {
	var s string
	p.into(name, openai.KindString, &s)
	return s
}

// required reads a string that must be there.
func (p *params) required(name string) string {
	if !p.has(name) {
		p.fail(openai.MissingParameter(p.path + name))
	}
	return p.text(name)
}

// flag reads a boolean, false if absent.
func (p *params) flag(name string) bool {
	var b bool
	p.into(name, openai.KindBoolean, &b)
	return b
}

// integer reads an integer between low and high, otherwise if absent.
func (p *params) integer(name string, low, high, otherwise int64) int64 {
	n := otherwise
	if p.into(name, openai.KindInteger, &n) && (n < low || n > high) {
		p.fail(openai.InvalidRequest(p.path+name, openai.CodeInvalidValue,
			"Invalid value for '%s': expected an integer from %d to %d, but got %d.", p.path+name, low, high, n))
	}
	return n
}

// duration reads a duration up to longest, otherwise if absent.
func (p *params) duration(name string, longest, otherwise batch.Duration) batch.Duration {
	s := p.text(name)
	if s == "" {
		return otherwise
	}
	d, err := batch.ParseDuration(s)
	if err != nil || batch.Duration(d) > longest {
		p.fail(openai.InvalidRequest(p.path+name, openai.CodeInvalidValue,
			"Invalid value for '%s': expected a duration such as '90s', '24h' or '7d' of at most %s, but got '%s'.",
			p.path+name, longest, s))
	}
	return batch.Duration(d)
}

// object reads an object; an absent one is empty. Its error is p's.
func (p *params) object(name string) *params {
	inner := &params{path: p.path + name + ".", fields: map[string]json.RawMessage{}}
	p.into(name, openai.KindObject, &inner.fields)
	return inner
}

// Bounds of metadata, as OpenAI has them.
const (
	metadataPairs = 16
	metadataKey   = 64
	metadataValue = 512
)

// metadata reads an object of strings, nil if absent.
func (p *params) metadata(name string) map[string]string {
	inner := p.object(name)
	if len(inner.fields) == 0 {
		return nil
	}
	if n := len(inner.fields); n > metadataPairs {
		p.fail(openai.InvalidRequest(name, openai.CodeInvalidValue,
			"Invalid '%s': too many properties. Expected an object with at most %d properties, but got %d.", name, metadataPairs, n))
	}
	m := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(inner.fields)) {
		raw := inner.fields[key]
		var value string
		if err := json.Unmarshal(raw, &value); err != nil || string(raw) == "null" {
			p.fail(openai.InvalidType(inner.path+key, openai.KindString, raw))
		}
		if utf8.RuneCountInString(key) > metadataKey || utf8.RuneCountInString(value) > metadataValue {
			p.fail(openai.InvalidRequest(inner.path+key, openai.CodeInvalidValue,
				"Invalid '%s': keys have at most %d characters and values at most %d.", inner.path+key, metadataKey, metadataValue))
		}
		m[key] = value
	}
	return m
}

// done returns the first error of the object and of those inside it. A field
// that is left over is one that does not exist.
func (p *params) done(inner ...*params) error {
	for _, i := range inner {
		p.absorb(i)
	}
	for _, name := range slices.Sorted(maps.Keys(p.fields)) {
		p.fail(openai.InvalidRequest(p.path+name, openai.CodeUnknownParameter, "Unknown parameter: '%s'.", p.path+name))
	}
	if p.err != nil {
		return p.err
	}
	return nil
}

// absorb takes over the first error of an object inside.
func (p *params) absorb(inner *params) {
	if err := inner.done(); err != nil {
		p.fail(err.(*openai.Error)) //nolint:errorlint // it is one
	}
}

// oneOf refuses a value that is not among several allowed.
func oneOf[T ~string](name string, value T, allowed []T) *openai.Error {
	if slices.Contains(allowed, value) {
		return nil
	}
	quoted := make([]string, len(allowed))
	for i, v := range allowed {
		quoted[i] = fmt.Sprintf("'%s'", string(v))
	}
	last := len(quoted) - 1
	return openai.InvalidRequest(name, openai.CodeInvalidValue, "Invalid value: '%s'. Supported values are: %s, and %s.",
		string(value), strings.Join(quoted[:last], ", "), quoted[last])
}
