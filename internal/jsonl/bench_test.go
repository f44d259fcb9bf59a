package jsonl_test

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/jsonl"
	"github.com/headrace/headrace/internal/openai"
)

// BenchmarkPlan plans a file of 1,000,000 lines and 300 MB that is generated
// while it is read; BenchmarkGenerate is what the generating costs.
func BenchmarkPlan(b *testing.B) {
	const lines = 1_000_000
	b.ReportAllocs()
	b.SetBytes(newSynthetic(lines, 300).size())
	for b.Loop() {
		s, err := jsonl.Plan(b.Context(), newSynthetic(lines, 300), io.Discard, jsonl.PlanOptions{
			Endpoint: openai.ChatCompletions, Lanes: 4, Hands: 64, TempDir: b.TempDir(),
		})
		require.NoError(b, err)
		require.Zero(b, s.ErrorCount)
		require.EqualValues(b, lines, s.Requests)
	}
}

func BenchmarkGenerate(b *testing.B) {
	const lines = 1_000_000
	b.SetBytes(newSynthetic(lines, 300).size())
	for b.Loop() {
		_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, newSynthetic(lines, 300), make([]byte, 256<<10))
		require.NoError(b, err)
	}
}

// BenchmarkParse compares the scanner, which checks a line and finds its fields
// in one pass, with checking alone as others do it.
func BenchmarkParse(b *testing.B) {
	lines := []struct{ name, text string }{
		{"300B", string(newSynthetic(1, 300).line())},
		{"8kB prose", request(strings.Repeat(`The quick \"brown\" fox jumps over the lazy dog.\n`, 160))},
		{"8kB CJK", request(strings.Repeat("敏捷的棕色狐狸", 380))},
		{"8kB escapes", request(strings.Repeat(`\u654f\u6377`, 660))},
	}
	for _, l := range lines {
		text := []byte(l.text)
		run := func(name string, parse func() bool) {
			b.Run(l.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(text)))
				ok := true
				for b.Loop() {
					ok = ok && parse()
				}
				require.True(b, ok)
			})
		}
		run("Parse", func() bool { _, err := jsonl.Parse(jsonl.Line{Text: text}); return err == nil })
		run("json.Valid", func() bool { return json.Valid(text) })
		run("gjson.ValidBytes+utf8.Valid", func() bool { return gjson.ValidBytes(text) && utf8.Valid(text) })
	}
}
