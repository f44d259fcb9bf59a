package dispatch_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/llm"
)

// sent is the body that the second target gets.
func sent(tb testing.TB, body, model string) string {
	tb.Helper()
	s := setup(tb)
	s.a.answer = refuses(llm.Permanent)
	c := call(llm.Permanent)
	c.Request.Model, c.Request.Body = "m", []byte(body)
	c.Fallback.Targets = []batch.Target{{Provider: "b", Model: model}}
	_, err := s.dispatcher.Do(tb.Context(), tb.Context(), c)
	require.NoError(tb, err)
	require.Equal(tb, body, string(s.a.requests[0].Body))
	require.Equal(tb, body, string(c.Request.Body), "the caller's own stays as it is")
	return string(s.b.requests[0].Body)
}

func TestOnlyTheNameOfTheModelChanges(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"model":"m"}`: `{"model":"x\"y"}`,
		" \t{ \"a\" : {\"model\":\"m\"}, \"model\" :\n\"m\" ,\"b\":[{\"model\":1e400}] } \n": " \t{ \"a\" : {\"model\":\"m\"}, \"model\" :\n\"x\\\"y\" ,\"b\":[{\"model\":1e400}] } \n",
		`{"mod\u0065l":"\u006d","Model":"m","MODEL":"m"}`:                                    `{"mod\u0065l":"x\"y","Model":"m","MODEL":"m"}`,
		`{"model":"m","temperature":0,"model":"n"}`:                                          `{"model":"x\"y","temperature":0,"model":"x\"y"}`,
		`{"model":"a\\\"}","x":"\"model\":\"m\""}`:                                           `{"model":"x\"y","x":"\"model\":\"m\""}`,
		`{"model":null}`:          `{"model":null}`,
		`{"model":{"model":"m"}}`: `{"model":{"model":"m"}}`,
		`{}`:                      `{}`,
		`{"big":12345678901234567890,"f":1.0,"model":"m"}`: `{"big":12345678901234567890,"f":1.0,"model":"x\"y"}`,
	} {
		require.Equal(t, want, sent(t, body, `x"y`), body)
	}
}

// reference changes the model with the tokens of encoding/json.
func reference(body, model string) (string, bool) {
	d := json.NewDecoder(strings.NewReader(body))
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return "", false
	}
	var b strings.Builder
	copied := 0
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return "", false
		}
		begin := int(d.InputOffset())
		begin += len(body[begin:]) - len(strings.TrimLeft(body[begin:], " \t\r\n:"))
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return "", false
		}
		if key == "model" && value[0] == '"' {
			name, _ := json.Marshal(model)
			b.WriteString(body[copied:begin])
			b.Write(name)
			copied = begin + len(value)
		}
	}
	return b.String() + body[copied:], json.Valid([]byte(body))
}

func FuzzModel(f *testing.F) {
	f.Add(`{"model":"m"}`, "x")
	f.Add(` {"a":[{"model":"m"}],"mod\u0065l" : "\ud800" ,"b":"\\"}`, "x\"\\\n<é")
	f.Add(`{"model":"m","model":"n","model":1}`, "x")
	f.Fuzz(func(t *testing.T, body, model string) {
		if want, ok := reference(body, model); ok && model != "" {
			require.Equal(t, want, sent(t, body, model))
		}
	})
}
