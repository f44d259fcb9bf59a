package api_test

import (
	"encoding/json"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/api"
)

func TestSeveralMembersAreCutAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ body, rest string }{
		{`{"x":1,"y":2}`, `{}`},
		{`{ "x" :1, "y":2 , "a":[ ] }`, `{ "a":[ ] }`},
		{`{"a":1,"x":"}","b":"\"x\":","y":{"x":1}}`, `{"a":1,"b":"\"x\":"}`},
		{`{"x":1,"a":1,"y":2,"x":3}`, `{"a":1}`},
		{`{"\u0078":1,"a":{"x":1}}`, `{"a":{"x":1}}`},
		{` {"a" : 1.0 } `, ` {"a" : 1.0 } `},
	} {
		rest, _, ok := api.CutMembers([]byte(c.body), "x", "y")
		require.True(t, ok, c.body)
		require.Equal(t, c.rest, string(rest))
	}
}

func TestAMemberIsSetInItsPlaceOrAtTheEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ body, want string }{
		{`{"n": 1 , "a":1e3}`, `{"n": 42 , "a":1e3}`},
		{`{"a":{"n":1} }` + "\n", `{"a":{"n":1},"n":42 }` + "\n"},
		{` { }`, ` {"n":42 }`},
		{`{"n":[1,2],"b":"n","n":{}}`, `{"n":42,"b":"n","n":42}`},
		{`{"\u006e":null}`, `{"\u006e":42}`},
	} {
		got, ok := api.WithMember([]byte(c.body), "n", []byte("42"))
		require.True(t, ok, c.body)
		require.Equal(t, c.want, string(got))
	}
	for _, other := range []string{``, `[]`, `"n"`, `{`, `{}{}`, "{\"a\":\"\xff\"}"} {
		_, ok := api.WithMember([]byte(other), "n", []byte("42"))
		require.False(t, ok, other)
		_, _, ok = api.CutMembers([]byte(other), "n")
		require.False(t, ok, other)
	}
}

func FuzzASetMemberHasItsValueAndTheOthersTheirs(f *testing.F) {
	for _, body := range []string{`{}`, `{"id":1}`, ` { "a" : "id" , "id":[{}]}`, `{"id":1,"id":2,"c":3}`, `{"\u0069d":"x"}`, `[]`} {
		f.Add([]byte(body), "v")
	}
	f.Fuzz(func(t *testing.T, body []byte, value string) {
		quoted := strconv.Quote(value)
		if !json.Valid([]byte(quoted)) {
			return
		}
		got, ok := api.WithMember(body, "id", []byte(quoted))
		if !ok {
			return
		}
		var before, after map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(body, &before))
		require.NoError(t, json.Unmarshal(got, &after))
		require.Equal(t, quoted, string(after["id"]))
		delete(before, "id")
		delete(after, "id")
		require.Equal(t, before, after)
	})
}
