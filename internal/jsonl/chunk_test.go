package jsonl_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/jsonl"
	"github.com/headrace/headrace/internal/openai"
)

// layout is a generated file: blank lines and requests that repeat none of
// their custom_ids, in every dress that the format allows.
func layout(t *rapid.T) string {
	endings := rapid.SampledFrom([]string{"\n", "\r\n", "\n\n", " \n", "\n \t\n"})
	indents := rapid.SampledFrom([]string{"", "", " ", "\t "})
	prompts := rapid.SampledFrom([]string{"Hi", "é敏", `\u00e9\n`, strings.Repeat("long ", 40)})
	var b strings.Builder
	b.WriteString(rapid.SampledFrom([]string{"", "\ufeff", "\n", "\ufeff \n"}).Draw(t, "start"))
	for i := range rapid.IntRange(1, 80).Draw(t, "requests") {
		b.WriteString(indents.Draw(t, "indent"))
		line := requestWithID(fmt.Sprintf(`"id-%d"`, i))
		b.WriteString(strings.Replace(line, "Hi", prompts.Draw(t, "prompt"), 1))
		b.WriteString(endings.Draw(t, "ending"))
	}
	if rapid.Bool().Draw(t, "no final newline") {
		return strings.TrimRight(b.String(), "\r\n")
	}
	return b.String()
}

func TestTheChunksOfAFileAreItsRequestsInOrderOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := layout(t)
		limits := jsonl.Limits{
			Buffer:        16,
			Line:          1 << 20,
			ChunkRequests: rapid.IntRange(1, 20).Draw(t, "chunk requests"),
			ChunkBytes:    rapid.Int64Range(1, 2000).Draw(t, "chunk bytes"),
			TailLines:     rapid.IntRange(1, 50).Draw(t, "tail lines"),
			IDBudget:      rapid.IntRange(1, 1000).Draw(t, "id budget"),
		}
		var index bytes.Buffer
		s, err := jsonl.PlanWithin(t.Context(), strings.NewReader(text), &index, jsonl.PlanOptions{
			Endpoint: openai.ChatCompletions,
			Lanes:    rapid.IntRange(0, 5).Draw(t, "lanes"),
			Hands:    rapid.IntRange(0, 64).Draw(t, "hands"),
		}, limits)
		require.NoError(t, err)
		require.Empty(t, s.Errors)
		require.EqualValues(t, len(text), s.Bytes)

		lines := naiveLines(text, len(text))
		require.EqualValues(t, len(lines), s.Requests)
		chunks := decodeIndex(t, index.Bytes())
		require.EqualValues(t, len(chunks), s.Chunks)
		for _, c := range chunks {
			require.LessOrEqual(t, c.Requests, int64(limits.ChunkRequests))
			if c.Requests > 1 {
				require.LessOrEqual(t, c.Length, limits.ChunkBytes)
			}
			part := text[c.Offset : c.Offset+c.Length]
			own := lines[:c.Requests]
			lines = lines[c.Requests:]
			require.Equal(t, own, readAll(t, jsonl.NewReader(strings.NewReader(part), jsonl.Position{Offset: c.Offset, Line: c.Line})))
			requests, err := jsonl.ReadChunk(strings.NewReader(part+"rest of the file"), c)
			require.NoError(t, err)
			for i, r := range requests {
				want, err := jsonl.Parse(own[i])
				require.NoError(t, err)
				require.Equal(t, want, r)
			}
		}
		require.Empty(t, lines, "every request is in a chunk")
	})
}

func TestChunksStayWithinTheirLimits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name          string
		lines, length int
		lanes         int
		want          []int64 // requests of the first chunks
	}{
		{"500 requests", 1200, 200, 1, []int64{500, 500, 200}},
		{"4 MiB", 100, 100_000, 1, []int64{41, 41, 18}},
		{"a small batch is shared", 240, 200, 4, []int64{20, 19, 17, 16, 16, 16}},
		{"fewer than hands", 10, 200, 4, []int64{10}},
		{"large chunks before the tail", 200_000, 200, 4, []int64{500, 500, 500, 500}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var index bytes.Buffer
			s, err := jsonl.Plan(t.Context(), newSynthetic(tt.lines, tt.length), &index, jsonl.PlanOptions{
				Endpoint: openai.ChatCompletions, Lanes: tt.lanes, Hands: 64,
			})
			require.NoError(t, err)
			require.Empty(t, s.Errors)
			var sizes []int64
			var total int64
			for _, c := range decodeIndex(t, index.Bytes()) {
				sizes = append(sizes, c.Requests)
				total += c.Requests
			}
			require.Equal(t, tt.want, sizes[:len(tt.want)])
			require.EqualValues(t, tt.lines, total)
			if tt.lanes > 1 {
				require.True(t, slices.IsSortedFunc(sizes, func(a, b int64) int { return int(b - a) }), "chunks get no larger")
			}
		})
	}
}

// record encodes fields as the index has them.
func record(fields ...int64) []byte {
	b, err := binary.Append(nil, binary.LittleEndian, fields)
	if err != nil {
		panic(err)
	}
	return b
}

func TestARecordIsFourLittleEndianNumbers(t *testing.T) {
	t.Parallel()
	c, err := jsonl.DecodeChunk(record(1<<40, 4<<20, 1<<33, 500))
	require.NoError(t, err)
	require.Equal(t, jsonl.Chunk{Offset: 1 << 40, Length: 4 << 20, Line: 1 << 33, Requests: 500}, c)
}

func TestARecordThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	for _, b := range [][]byte{
		nil, record(0, 1, 1), record(0, 1, 1, 1, 1),
		record(-1, 1, 1, 1), record(0, 0, 1, 1), record(0, 1, 0, 1), record(0, 1, 1, 0),
		record(0, jsonl.MaxLine+1, 1, 1), record(0, 1, 1, jsonl.MaxChunkRequests+1),
	} {
		_, err := jsonl.DecodeChunk(b)
		require.ErrorContains(t, err, "decode chunk")
	}
}

func TestAChunkThatIsNotAsPlannedIsAnError(t *testing.T) {
	t.Parallel()
	text := file(requestWithID(`"a"`), requestWithID(`"b"`))
	chunk := jsonl.Chunk{Length: int64(len(text)), Line: 5, Requests: 2}
	tests := []struct{ name, file, want string }{
		{"cut off", text[:len(text)-1], "unexpected EOF"},
		{"gone", "", "EOF"},
		{"fewer requests", strings.Repeat(" ", len(text)/2) + text[len(text)/2:], "1 requests instead of 2"},
		{"other content", text[:len(text)-2] + "]\n", "line 6: no JSON object"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := jsonl.ReadChunk(strings.NewReader(tt.file), chunk)
			require.ErrorContains(t, err, "read chunk at offset 0")
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func BenchmarkReadChunk(b *testing.B) {
	var text bytes.Buffer
	_, err := io.Copy(&text, newSynthetic(500, 300))
	require.NoError(b, err)
	chunk := jsonl.Chunk{Length: int64(text.Len()), Line: 1, Requests: 500}
	b.ReportAllocs()
	b.SetBytes(chunk.Length)
	for b.Loop() {
		_, err = jsonl.ReadChunk(bytes.NewReader(text.Bytes()), chunk)
	}
	require.NoError(b, err)
}
