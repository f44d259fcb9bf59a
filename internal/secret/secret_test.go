package secret_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/secret"
)

const value = "sk-do-not-print-me"

// holders are ways in which a secret lies in other values.
func holders() map[string]any {
	type inner struct{ Key secret.String }
	s := secret.New(value)
	return map[string]any{
		"itself":                      s,
		"a pointer":                   &s,
		"a member":                    struct{ Key secret.String }{s},
		"a member that is unexported": struct{ key secret.String }{s},
		"deep inside":                 &struct{ a struct{ b []inner } }{struct{ b []inner }{[]inner{{s}}}},
		"embedded":                    struct{ secret.String }{s},
		"a list":                      []secret.String{s},
		"a map":                       map[string]secret.String{"key": s},
		"a key of a map":              map[secret.String]int{s: 1},
		"any":                         []any{s, &s},
		"an error":                    fmt.Errorf("call with %v: %w", s, errors.New("refused")),
	}
}

func TestASecretIsRevealedToWhoeverAsks(t *testing.T) {
	t.Parallel()
	require.Equal(t, value, secret.New(value).Reveal())
	require.False(t, secret.New(value).Empty())
	require.Equal(t, " ", secret.New(" ").Reveal())
	require.False(t, secret.New(" ").Empty())
}

func TestASecretPrintsAsStars(t *testing.T) {
	t.Parallel()
	s := secret.New(value)
	for verb, want := range map[string]string{"%v": "***", "%+v": "***", "%#v": "***", "%s": "***", "%q": `"***"`, "%5s": "  ***"} {
		require.Equal(t, want, fmt.Sprintf(verb, s), verb)
		require.Equal(t, want, fmt.Sprintf(verb, &s), verb)
	}
	require.Equal(t, "***", fmt.Sprint(s))
	require.Equal(t, "***", s.String())
	require.Equal(t, "{*** 1}", fmt.Sprintf("%v", struct {
		Key secret.String
		N   int
	}{s, 1}))
	require.Equal(t, "[***]", fmt.Sprint([]secret.String{s}))
}

func TestNoVerbPrintsASecret(t *testing.T) {
	t.Parallel()
	for name, holder := range holders() {
		for _, verb := range []string{"v", "s", "q", "x", "X", "d", "t", "b", "c", "o", "U", "e", "f", "g", "p", "T", "w"} {
			for _, flags := range []string{"", "+", "#", " ", "#+", "010", ".3", "-20"} {
				text := fmt.Sprintf("%"+flags+verb, holder)
				requireMasked(t, text, name+": %"+flags+verb)
			}
		}
	}
}

// requireMasked looks for the secret, or a part of it, as it is, in hexadecimal
// and as the numbers of its bytes.
func requireMasked(t *testing.T, text, where string) {
	t.Helper()
	dense := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), " ", "") }
	part := value[3:9]
	for _, leak := range []string{part, fmt.Sprintf("%x", part), strings.Trim(fmt.Sprintf("%d", []byte(part)), "[]")} {
		require.NotContains(t, dense(text), dense(leak), where)
	}
}

func TestASecretIsEncodedAsStars(t *testing.T) {
	t.Parallel()
	data, err := json.Marshal(struct {
		Key  secret.String            `json:"key"`
		List []secret.String          `json:"list"`
		Map  map[string]secret.String `json:"map"`
		As   map[secret.String]int    `json:"as"`
	}{secret.New(value), []secret.String{secret.New(value)}, map[string]secret.String{"k": secret.New(value)}, map[secret.String]int{secret.New(value): 1}})
	require.NoError(t, err)
	require.JSONEq(t, `{"key":"***","list":["***"],"map":{"k":"***"},"as":{"***":1}}`, string(data))

	type object struct{ Key secret.String }
	data, err = xml.Marshal(object{secret.New(value)})
	require.NoError(t, err)
	require.Contains(t, string(data), "<Key>***</Key>")
}

func TestASecretIsLoggedAsStars(t *testing.T) {
	t.Parallel()
	s := secret.New(value)
	require.Equal(t, slog.StringValue("***"), slog.AnyValue(s).Resolve(), "whatever the handler is")
	for name, newHandler := range map[string]func(*bytes.Buffer) slog.Handler{
		"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
	} {
		var out bytes.Buffer
		log := slog.New(newHandler(&out))
		log.Info("one", slog.Any("key", s))
		require.Contains(t, out.String(), "***", name)
		requireMasked(t, out.String(), name)
		for holder, v := range holders() {
			out.Reset()
			log.With(slog.Any("with", v)).WithGroup("g").Info("one", slog.Any("key", v), slog.Group("h", slog.Any("key", v)))
			require.NotEmpty(t, out.String())
			requireMasked(t, out.String(), holder+" in "+name)
		}
	}
}

func TestNoSecretIsShownAsNone(t *testing.T) {
	t.Parallel()
	for _, s := range []secret.String{{}, secret.New("")} {
		require.True(t, s.Empty())
		require.Empty(t, s.Reveal())
		require.Empty(t, fmt.Sprint(s), "so that a missing key can be told from a hidden one")
		data, err := json.Marshal(s)
		require.NoError(t, err)
		require.Equal(t, `""`, string(data))
	}
}
