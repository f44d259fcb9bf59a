package jsonl_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/jsonl"
)

func parse(text string) (jsonl.Request, error) {
	return jsonl.Parse(jsonl.Line{Number: 7, Text: []byte(text)})
}

func TestARequestKeepsTheUsersBytes(t *testing.T) {
	t.Parallel()
	const (
		id   = `"caf\u00e9 \/ \ud83d\ude00"`
		body = `{ "zeta":1.0 ,"model":"m\u00f6", "seed":12345678901234567890, "zeta":-0e+1,"x":[ ]  }`
	)
	r, err := parse("{\t\"extra\" : [{}] , \"body\" :" + body + ",\r\"custom_id\": " + id + " }")
	require.NoError(t, err)
	require.Equal(t, jsonl.Request{Line: 7, CustomID: []byte(id), Body: []byte(body), Model: "mö"}, r)
	require.Equal(t, "café / 😀", r.ID())
}

func TestOfARepeatedNameTheLastCounts(t *testing.T) {
	t.Parallel()
	r, err := parse(`{"custom_id":"a","body":{"model":"m1"},"body":{"model":1,"model":"m2"},"custom_id":"b"}`)
	require.NoError(t, err)
	require.Equal(t, "b", r.ID())
	require.JSONEq(t, `{"model":"m2"}`, string(r.Body))
	require.Equal(t, "m2", r.Model)

	r, err = parse(`{"custom_id":"a","body":{"model":"m1"},"body":{}}`)
	require.NoError(t, err)
	require.Empty(t, r.Model, "the model of an earlier body must not survive")
}

func TestNamesAreMatchedInTheirExactCaseAndDecoded(t *testing.T) {
	t.Parallel()
	r, err := parse(`{"\u0063ustom_id":"a","Custom_ID":"b","b\u006fdy":{"\u006dodel":"m","Model":"M"},"BODY":{}}`)
	require.NoError(t, err)
	require.Equal(t, "a", r.ID())
	require.Equal(t, "m", r.Model)
}

func TestFieldsCountOnlyAtTheirLevel(t *testing.T) {
	t.Parallel()
	r, err := parse(`{"custom_id":"a","x":{"custom_id":"b","body":{}},"body":{"model":"m","y":{"model":"n"},"z":[{"model":"o"}],"body":{"model":"p"}}}`)
	require.NoError(t, err)
	require.Equal(t, "a", r.ID())
	require.Equal(t, "m", r.Model)
}

func TestAModelThatIsNoStringIsNone(t *testing.T) {
	t.Parallel()
	for _, model := range []string{"null", "1", `["m"]`, `{"m":1}`} {
		r, err := parse(`{"custom_id":"a","body":{"model":` + model + `}}`)
		require.NoError(t, err)
		require.Empty(t, r.Model)
	}
}

func TestALoneSurrogateBecomesTheReplacementCharacter(t *testing.T) {
	t.Parallel()
	for _, id := range []string{`"\ud800"`, `"\udc00"`} {
		r, err := parse(`{"custom_id":` + id + `,"body":{}}`)
		require.NoError(t, err)
		require.Equal(t, "\ufffd", r.ID())
		require.Equal(t, id, string(r.CustomID))
	}
	r, err := parse(`{"custom_id":"\ud800\u0041","body":{}}`)
	require.NoError(t, err)
	require.Equal(t, "\ufffdA", r.ID())
}

func TestWhatIsNoRequestIsAnError(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		``, `x`, `[]`, `null`, `"a"`, `{}`, `{"custom_id":"a"}`, `{"body":{}}`,
		`{"custom_id":1,"body":{}}`, `{"custom_id":"a","body":[]}`, `{"custom_id":"a","body":{}} {}`,
		`{"custom_id":"a","body":{},}`, `{"custom_id":"a","body":{"x":01}}`, "{\"custom_id\":\"\xff\",\"body\":{}}",
	} {
		_, err := parse(text)
		require.Error(t, err, text)
	}
}

func TestNestingEndsWhereItEndsInEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, n := range []int{9_998, 9_999, 10_000, 1_000_000} {
		for _, pair := range []string{"[]", "{}"} {
			inner := strings.Repeat("[", n) + strings.Repeat("]", n)
			if pair == "{}" {
				inner = strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n)
			}
			text := []byte(`{"x":` + inner + `}`)
			_, _, ok := jsonl.Fields(text)
			require.Equal(t, json.Valid(text), ok, "%s × %d", pair, n)
			require.Equal(t, n <= 9_999, ok)
		}
	}
}

func TestUnclosedNestingDoesNotUseUpTheStack(t *testing.T) {
	t.Parallel()
	for _, open := range []string{"[", `{"a":`, `[{"a":`} {
		_, _, ok := jsonl.Fields([]byte(strings.Repeat(open, 5_000_000)))
		require.False(t, ok)
	}
}

// TestEveryByteIsJudgedAtEveryPlaceOfAString covers strings that the scanner
// takes eight bytes at a time.
func TestEveryByteIsJudgedAtEveryPlaceOfAString(t *testing.T) {
	t.Parallel()
	for _, filler := range []string{"x", "\u007f", "!", "\\\\"} {
		for before := range 20 {
			for b := range 256 {
				text := []byte(`"` + strings.Repeat(filler, before) + string([]byte{byte(b)}) + strings.Repeat(filler, 20-before) + `"`)
				_, _, ok := jsonl.Fields(text)
				require.Equal(t, json.Valid(text) && utf8.Valid(text), ok, "%q", text)
			}
		}
	}
}

// oracle is what Fields does, with encoding/json.
func oracle(text []byte) (line, body map[string][]byte, ok bool) {
	members := func(raw []byte, names ...string) map[string][]byte {
		var all map[string]json.RawMessage
		_ = json.Unmarshal(raw, &all) // of another type: no members
		picked := map[string][]byte{}
		for _, name := range names {
			picked[name] = all[name]
		}
		return picked
	}
	if ok = json.Valid(text) && utf8.Valid(text); !ok {
		text = nil
	}
	line = members(text, "custom_id", "method", "url", "body")
	return line, members(line["body"], "model", "messages", "input", "stream"), ok
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		request("Hi"), request(`\u00e9\ud800 \"\\\/\b\f\n\r\t`), request("é敏"),
		`{"custom_id":"\u0061","method":"POST","url":"/v1/embeddings","body":{"model":"m","input":["a",-1.5e+3,0,true,false,null]}}`,
		`{"body":{"model":1},"body":{"stream":true,"stream":false}}`, ` [1, 2.0, {"a":[]}, {}] `, `"a`, `{"a":1,}`, `01`, `-`, `1.`, `1e`,
		`{"a" : tru}`, "{\"a\":\"\x00\"}", "{\"a\":\"\xed\xa0\x80\"}", `{"\u0062ody":{"m\u006fdel":"x"}}`, strings.Repeat("[", 20),
		`"\u12g4"`, `"12345678\`, `{"a":"1234567\"8901234567"}`, "\ufeff{}", `{"body":{},"body":7}`, "\"\x7f\x80\"",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		line, body, ok := jsonl.Fields(text)
		wantLine, wantBody, wantOK := oracle(text)
		require.Equal(t, wantOK, ok)
		require.Equal(t, texts(wantLine), texts(line))
		require.Equal(t, texts(wantBody), texts(body))
		if r, err := jsonl.Parse(jsonl.Line{Text: text}); err == nil {
			require.True(t, ok)
			var id string
			require.NoError(t, json.Unmarshal(wantLine["custom_id"], &id))
			require.Equal(t, id, r.ID())
		}
	})
}

// texts makes absent and empty the same, which encoding/json does not tell
// apart; no JSON value is empty.
func texts(m map[string][]byte) map[string]string {
	s := map[string]string{}
	for name, raw := range m {
		s[name] = string(raw)
	}
	return s
}
