package jsonl_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/jsonl"
)

// readAll returns the lines of r with copies of their texts.
func readAll(tb rapid.TB, r *jsonl.Reader) []jsonl.Line {
	tb.Helper()
	var lines []jsonl.Line
	for {
		l, err := r.Next()
		if errors.Is(err, io.EOF) {
			return lines
		}
		require.NoError(tb, err)
		l.Text = bytes.Clone(l.Text)
		lines = append(lines, l)
	}
}

func line(number, offset int64, text string) jsonl.Line {
	return jsonl.Line{Number: number, Offset: offset, Text: []byte(text)}
}

func TestLinesAreFoundWithTheirNumbersAndOffsets(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100)
	tests := []struct {
		name, file string
		want       []jsonl.Line
	}{
		{"nothing", "", nil},
		{"LF", "a\nb\n", []jsonl.Line{line(1, 0, "a"), line(2, 2, "b")}},
		{"CRLF", "a\r\nb\r\n", []jsonl.Line{line(1, 0, "a"), line(2, 3, "b")}},
		{"no final newline", "a\nb", []jsonl.Line{line(1, 0, "a"), line(2, 2, "b")}},
		{"a final CR", "a\nb\r", []jsonl.Line{line(1, 0, "a"), line(2, 2, "b")}},
		{"CR alone ends no line", "a\rb\n", []jsonl.Line{line(1, 0, "a\rb")}},
		{"blank lines count", "\n\na\n \t\r\nb\n\n\n", []jsonl.Line{line(3, 2, "a"), line(5, 8, "b")}},
		{"whitespace around a line", "  a b \t\n\tc", []jsonl.Line{line(1, 2, "a b"), line(2, 9, "c")}},
		{"no-break space is no whitespace", "\u00a0\n", []jsonl.Line{line(1, 0, "\u00a0")}},
		{"byte order mark", "\ufeffa\nb", []jsonl.Line{line(1, 3, "a"), line(2, 5, "b")}},
		{"byte order mark alone", "\ufeff\n", nil},
		{"byte order mark later", "\n\ufeffa\n", []jsonl.Line{line(2, 1, "\ufeffa")}},
		{"byte order mark, then blanks", "\ufeff  a\n", []jsonl.Line{line(1, 5, "a")}},
		{"longer than the buffer", "a\n" + long + "\r\nb", []jsonl.Line{line(1, 0, "a"), line(2, 2, long), line(3, 104, "b")}},
		{"as long as the buffer", long[:15] + "\n" + long[:16] + "\n", []jsonl.Line{line(1, 0, long[:15]), line(2, 16, long[:16])}},
		{"NUL", "\x00\n", []jsonl.Line{line(1, 0, "\x00")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := strings.NewReader(tt.file)
			require.Equal(t, tt.want, readAll(t, jsonl.NewReaderWithin(in, jsonl.Position{}, 1000)))
			in.Reset(tt.file)
			require.Equal(t, tt.want, readAll(t, jsonl.NewReader(iotest.OneByteReader(in), jsonl.Position{})))
		})
	}
}

func TestALineOverTheLimitIsReportedAndReadingGoesOn(t *testing.T) {
	t.Parallel()
	within := strings.Repeat("x", 99) + "\n"
	for _, over := range []string{strings.Repeat("x", 100) + "\n", strings.Repeat("x", 1000) + "\r\n"} {
		in := strings.NewReader(within + over + within)
		lines := readAll(t, jsonl.NewReaderWithin(in, jsonl.Position{}, 100))
		require.Len(t, lines, 3)
		require.False(t, lines[0].TooLong)
		require.Equal(t, jsonl.Line{Number: 2, Offset: 100, TooLong: true}, lines[1])
		require.Equal(t, line(3, int64(len(within+over)), within[:99]), lines[2])
	}
}

func TestALineOverTheLimitMayBeTheLastWithoutNewline(t *testing.T) {
	t.Parallel()
	in := io.MultiReader(strings.NewReader("a\n"), repeated('x', 101))
	lines := readAll(t, jsonl.NewReaderWithin(in, jsonl.Position{}, 100))
	require.Equal(t, []jsonl.Line{line(1, 0, "a"), {Number: 2, Offset: 2, TooLong: true}}, lines)
}

func TestAReaderStartsAtAGivenLine(t *testing.T) {
	t.Parallel()
	text := "a\n\n  b\nc\n"
	all := readAll(t, jsonl.NewReader(strings.NewReader(text), jsonl.Position{}))
	require.Len(t, all, 3)
	for i, l := range all {
		from := jsonl.Position{Offset: l.Offset, Line: l.Number}
		require.Equal(t, all[i:], readAll(t, jsonl.NewReader(strings.NewReader(text[l.Offset:]), from)))
	}
}

func TestAByteOrderMarkIsSkippedOnlyAtTheStartOfTheFile(t *testing.T) {
	t.Parallel()
	in := strings.NewReader("\ufeffa\n")
	lines := readAll(t, jsonl.NewReader(in, jsonl.Position{Offset: 10, Line: 3}))
	require.Equal(t, []jsonl.Line{line(3, 10, "\ufeffa")}, lines)
}

func TestAReadErrorNamesTheLine(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection reset")
	for _, begun := range []string{"", "b", strings.Repeat("b", 100)} {
		r := jsonl.NewReaderWithin(io.MultiReader(strings.NewReader("a\n"+begun), iotest.ErrReader(broken)), jsonl.Position{}, 1000)
		_, err := r.Next()
		require.NoError(t, err)
		_, err = r.Next()
		require.ErrorIs(t, err, broken)
		require.ErrorContains(t, err, "read line 2")
	}
}

// naiveLines is what a Reader does, for a file in memory.
func naiveLines(file string, limit int) []jsonl.Line {
	var lines []jsonl.Line
	offset := 0
	for i, raw := range slices.Collect(strings.SplitAfterSeq(file, "\n")) {
		start := offset
		offset += len(raw)
		if len(raw) > limit {
			lines = append(lines, jsonl.Line{Number: int64(i + 1), Offset: int64(start), TooLong: true})
			continue
		}
		if i == 0 {
			raw = strings.TrimPrefix(raw, "\ufeff")
		}
		start = offset - len(strings.TrimLeft(raw, " \t\r\n"))
		if text := strings.Trim(raw, " \t\r\n"); text != "" {
			lines = append(lines, line(int64(i+1), int64(start), text))
		}
	}
	return lines
}

func FuzzReader(f *testing.F) {
	for _, seed := range []string{
		"", "\n", "a\nb\n", "a\r\nb", "\ufeff{}\n\n{}", "\xff\xfe{\x00}\x00\n\x00",
		strings.Repeat("x", 50) + "\n" + strings.Repeat(" ", 40) + "y", "\r\r\n\n\r", strings.Repeat("z", 41),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		const limit = 40
		got := readAll(t, jsonl.NewReaderWithin(bytes.NewReader(file), jsonl.Position{}, limit))
		require.Equal(t, naiveLines(string(file), limit), got)
	})
}
