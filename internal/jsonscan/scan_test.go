package jsonscan_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/jsonscan"
)

// member finds one member of the outer object, and one of the object in it.
type member struct {
	name, innerName string
	value, inner    []byte
}

func (m *member) Member(name []byte) (*[]byte, jsonscan.Visitor) {
	if string(name) == m.name {
		return &m.value, &nested{m}
	}
	return nil, nil
}

type nested struct{ *member }

func (n *nested) Member(name []byte) (*[]byte, jsonscan.Visitor) {
	if string(name) == n.innerName {
		return &n.inner, nil
	}
	return nil, nil
}

func TestScanFindsMembersAsTheyStandInTheText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]string{
		`{"a": {"b" : 1.0e5 }}`:                       {`{"b" : 1.0e5 }`, `1.0e5`},
		`{"b":1,"\u0061":{"x":{"b":2},"b":"\u00e9"}}`: {`{"x":{"b":2},"b":"\u00e9"}`, `"\u00e9"`},
		`{"a":1,"a":2}`:                               {`2`, ``},
		`{"A":{"b":1}}`:                               {``, ``},
		`[{"a":{"b":1}}]`:                             {``, ``},
	} {
		m := &member{name: "a", innerName: "b"}
		require.True(t, jsonscan.Scan([]byte(text), m), text)
		require.Equal(t, want, [2]string{string(m.value), string(m.inner)}, text)
	}
}

func TestDeepNestingIsRefusedAndNotFollowed(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 1<<20) + strings.Repeat("]", 1<<20)
	require.False(t, jsonscan.Valid([]byte(deep)))
	wide := "[" + strings.Repeat("[],", 1<<15) + "[]]"
	require.True(t, jsonscan.Valid([]byte(wide)))
	deepest := strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)
	require.Equal(t, json.Valid([]byte(deepest)), jsonscan.Valid([]byte(deepest)))
	deeper := "[" + deepest + "]"
	require.Equal(t, json.Valid([]byte(deeper)), jsonscan.Valid([]byte(deeper)))
}

// FuzzValid compares with encoding/json, which takes bytes that are not UTF-8.
func FuzzValid(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":[1,-0.5e+10,true,false,null,"\ud800\u00e9\n"]}`, `[,]`, `{"a":1,}`, `01`, `-`, `1.`, `"\x"`, "\"\x01\"", `"`, ` 1 `, "",
		`{"a"}`, `tru`, `[[[[`, "\xff", `"\u12g4"`, `1e`, `{"a":1 "b":2}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		require.Equal(t, json.Valid(text) && utf8.Valid(text), jsonscan.Valid(text))
		var s string
		if len(text) > 1 && text[0] == '"' && jsonscan.Valid(text) && text[len(text)-1] == '"' {
			require.NoError(t, json.Unmarshal(text, &s))
			require.Equal(t, s, string(jsonscan.Unquote(text)))
		}
	})
}
