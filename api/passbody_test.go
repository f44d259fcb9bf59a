package api_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/api"
)

func TestHeadracesMemberIsCutOutAndNothingElseChanges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ body, rest, own string }{
		{`{"a": 1e3 , "b":"\u00e9"}`, `{"a": 1e3 , "b":"\u00e9"}`, ``},
		{`{"headrace":{"queue":"q"}}`, `{}`, `{"queue":"q"}`},
		{`{"headrace":{"queue":"q"}, "a":1}`, `{ "a":1}`, `{"queue":"q"}`},
		{` { "headrace" : {} , "a":1 } ` + "\n", ` { "a":1 } ` + "\n", `{}`},
		{`{"a":1,"headrace":null}`, `{"a":1}`, `null`},
		{`{"a":1 , "headrace":7 ,"b":{"headrace":1}}`, `{"a":1 ,"b":{"headrace":1}}`, `7`},
		{`{"headrace":1,"headrace":2}`, `{}`, `2`},
		{`{"a":[1,{"headrace":2}],"headrace":1,"z":12345678901234567890}`, `{"a":[1,{"headrace":2}],"z":12345678901234567890}`, `1`},
	} {
		rest, own, err := api.CutOwn([]byte(c.body))
		require.NoError(t, err, c.body)
		require.Equal(t, c.rest, string(rest))
		require.Equal(t, c.own, string(own))
	}
}

func FuzzWhatIsLeftIsValidAndTheSame(f *testing.F) {
	for _, body := range []string{
		`{"headrace":{},"a":1}`, `{"a":1,"headrace":{}}`, `{}`, `[]`, `{"a":{"headrace":1}}`, ` {"headrace" : "," , "b":[]} `, `{"headrace":1,"headrace":2,"c":3}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		rest, own, err := api.CutOwn(body)
		if err != nil {
			return
		}
		require.True(t, json.Valid(rest), "%s", rest)
		var before, after map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(body, &before))
		require.NoError(t, json.Unmarshal(rest, &after))
		if _, had := before["headrace"]; had {
			require.NotNil(t, own)
		} else {
			require.Equal(t, string(body), string(rest))
		}
		delete(before, "headrace")
		require.NotContains(t, after, "headrace")
		require.Equal(t, before, after)
	})
}
