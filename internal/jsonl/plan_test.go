package jsonl_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/jsonl"
	"github.com/headrace/headrace/internal/openai"
)

// planned is a file planned for chat completions.
type planned struct {
	jsonl.Summary
	index []byte
}

func planFile(t *testing.T, in io.Reader) planned {
	t.Helper()
	var index bytes.Buffer
	s, err := jsonl.Plan(t.Context(), in, &index, jsonl.PlanOptions{
		Endpoint: openai.ChatCompletions, Lanes: 2, Hands: 4, TempDir: t.TempDir(),
	})
	require.NoError(t, err)
	require.EqualValues(t, index.Len(), s.Chunks*jsonl.RecordSize)
	return planned{s, index.Bytes()}
}

// chunks decodes the index.
func (p planned) chunks(t *testing.T) []jsonl.Chunk {
	t.Helper()
	return decodeIndex(t, p.index)
}

func decodeIndex(tb rapid.TB, index []byte) []jsonl.Chunk {
	tb.Helper()
	var chunks []jsonl.Chunk
	for ; len(index) > 0; index = index[jsonl.RecordSize:] {
		c, err := jsonl.DecodeChunk(index[:jsonl.RecordSize])
		require.NoError(tb, err)
		chunks = append(chunks, c)
	}
	return chunks
}

// codes are the errors as "line code param".
func (p planned) codes() []string {
	var codes []string
	for _, e := range p.Errors {
		line, param := "-", "-"
		if e.Line != nil {
			line = fmt.Sprint(*e.Line)
		}
		if e.Param != nil {
			param = *e.Param
		}
		codes = append(codes, line+" "+e.Code+" "+param)
	}
	return codes
}

func TestAGoodFileIsPlanned(t *testing.T) {
	t.Parallel()
	text := file(requestWithID(`"a"`), "", requestWithID(`"b"`)+"\r", "  "+requestWithID(`"c"`), "", " ")
	p := planFile(t, strings.NewReader("\ufeff"+text))
	require.EqualValues(t, 3, p.Requests)
	require.EqualValues(t, 3+len(text), p.Bytes)
	require.Equal(t, "gpt-4o-mini", p.Model)
	require.Empty(t, p.Errors)
	require.Zero(t, p.ErrorCount)

	length := int64(len(strings.TrimSpace(text)))
	require.Equal(t, []jsonl.Chunk{{Offset: 3, Length: length, Line: 1, Requests: 3}}, p.chunks(t))
}

func TestAFileWithoutRequestsIsEmpty(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n", "\ufeff", " \r\n\t\n"} {
		p := planFile(t, strings.NewReader(text))
		require.Equal(t, []string{"- empty_file -"}, p.codes())
		require.EqualValues(t, 1, p.ErrorCount)
		require.Zero(t, p.Requests)
		require.Equal(t, "The input file is empty. Please ensure that the batch contains at least one request.", p.Errors[0].Message)
	}
}

func TestBadLinesAreReportedByNumber(t *testing.T) {
	t.Parallel()
	good := request("Hi")
	text := file(
		good, "", "not JSON", `{"custom_id":"cut`, `[`+good+`]`,
		strings.Replace(good, `"custom_id":"request-1",`, ``, 1),
		strings.Replace(good, `/v1/chat/completions`, `/v1/embeddings`, 1),
		strings.Replace(good, `"model":`, `"stream":true,"model":`, 1),
		good, "\x00\x00", "{\"custom_id\":\"\xff\"}", strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 100_000),
	)
	p := planFile(t, strings.NewReader(text))
	require.Equal(t, []string{
		"3 invalid_json_line -", "4 invalid_json_line -", "5 invalid_json_line -",
		"6 missing_required_parameter custom_id", "7 invalid_url url", "8 streaming_unsupported body.stream",
		"9 duplicate_custom_id custom_id", "10 invalid_json_line -", "11 invalid_json_line -",
		"12 invalid_json_line -", "13 invalid_json_line -",
	}, p.codes())
	require.EqualValues(t, 11, p.ErrorCount)
	require.EqualValues(t, 12, p.Requests)
}

func TestAnErrorHasTheWireShape(t *testing.T) {
	t.Parallel()
	p := planFile(t, strings.NewReader("x\n"+strings.Replace(request("Hi"), `"method":"POST",`, "", 1)))
	got, err := json.Marshal(p.Errors)
	require.NoError(t, err)
	require.JSONEq(t, `[
		{"code":"invalid_json_line","message":"This line is not parseable as valid JSON.","param":null,"line":1},
		{"code":"missing_required_parameter","message":"Missing required parameter: 'method'.","param":"method","line":2}
	]`, string(got))
}

func TestAUTF16FileIsNoJSON(t *testing.T) {
	t.Parallel()
	text := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(file(request("Hi"), request("Hi")))) {
		text = binary.LittleEndian.AppendUint16(text, u)
	}
	p := planFile(t, bytes.NewReader(text))
	require.Equal(t, []string{"1 invalid_json_line -", "2 invalid_json_line -", "3 invalid_json_line -"}, p.codes())
}

func TestALineOf10MBIsAChunkOfItsOwn(t *testing.T) {
	t.Parallel()
	long := requestWithID(`"long"`)
	long = strings.Replace(long, "Hi", strings.Repeat("x", 10<<20), 1)
	text := file(requestWithID(`"a"`), long, requestWithID(`"b"`))
	chunks := planFile(t, strings.NewReader(text)).chunks(t)
	require.Len(t, chunks, 3)
	require.EqualValues(t, len(long), chunks[1].Length)
	requests, err := jsonl.ReadChunk(strings.NewReader(text[chunks[1].Offset:]), chunks[1])
	require.NoError(t, err)
	require.Equal(t, "long", requests[0].ID())
}

func TestALineOf200MBIsReportedAndReadingGoesOn(t *testing.T) {
	t.Parallel()
	in := io.MultiReader(strings.NewReader(file(requestWithID(`"a"`))), repeated('x', 200<<20))
	p := planFile(t, in)
	require.Equal(t, []string{"2 invalid_request -"}, p.codes())
	require.Equal(t, "This line is longer than the limit of 134217728 bytes.", p.Errors[0].Message)

	in = io.MultiReader(repeated('[', 200<<20), strings.NewReader("\n"+file(request("Hi"), request("Hi"))))
	require.Equal(t, []string{"1 invalid_request -", "3 duplicate_custom_id custom_id"}, planFile(t, in).codes())
}

func TestAtMost1000ErrorsAreKeptAndAllAreCounted(t *testing.T) {
	t.Parallel()
	var lines []string
	for range 1500 {
		lines = append(lines, request("Hi"), "x") // of the first kind, all but one are repeats
	}
	p := planFile(t, strings.NewReader(file(lines...)))
	require.EqualValues(t, 2999, p.ErrorCount)
	require.EqualValues(t, 3000, p.Requests)
	require.Len(t, p.Errors, jsonl.MaxErrors)
	for i, e := range p.Errors {
		require.EqualValues(t, i+2, *e.Line)
	}
	require.Equal(t, []string{"2 invalid_json_line -", "3 duplicate_custom_id custom_id"}, p.codes()[:2])
}

func TestARepeatedCustomIDIsReportedAtItsSecondLine(t *testing.T) {
	t.Parallel()
	p := planFile(t, strings.NewReader(file(
		requestWithID(`"a"`), requestWithID(`"b"`), requestWithID(`"\u0061"`), requestWithID(`"A"`), requestWithID(`"a"`), requestWithID(`"a "`),
	)))
	require.Equal(t, []string{"3 duplicate_custom_id custom_id", "5 duplicate_custom_id custom_id"}, p.codes())
	require.Equal(t, "The custom_id of this request is already used by the request on line 1.", p.Errors[0].Message)
}

func TestABadLineHasOneErrorAndItsCustomIDStillCounts(t *testing.T) {
	t.Parallel()
	bad := strings.Replace(request("Hi"), "POST", "GET", 1)
	p := planFile(t, strings.NewReader(file(bad, request("Hi"), bad, request("Hi"))))
	require.Equal(t, []string{
		"1 invalid_value method", "2 duplicate_custom_id custom_id", "3 invalid_value method", "4 duplicate_custom_id custom_id",
	}, p.codes())
	require.EqualValues(t, 4, p.ErrorCount)
}

func TestALineThatIsNoJSONHasNoCustomID(t *testing.T) {
	t.Parallel()
	cut := request("Hi")
	p := planFile(t, strings.NewReader(file(cut[:len(cut)-1], request("Hi"), request("Hi"))))
	require.Equal(t, []string{"1 invalid_json_line -", "3 duplicate_custom_id custom_id"}, p.codes())
}

func TestTheModelIsThatOfAllRequests(t *testing.T) {
	t.Parallel()
	with := func(id, model string) string {
		return strings.Replace(requestWithID(id), `"gpt-4o-mini"`, model, 1)
	}
	tests := []struct{ name, file, want string }{
		{"one", file(with(`"1"`, `"m"`), with(`"2"`, `"m"`)), "m"},
		{"one in two spellings", file(with(`"1"`, `"m"`), with(`"2"`, `"\u006d"`), with(`"3"`, `"m"`)), "m"},
		{"two", file(with(`"1"`, `"m"`), with(`"2"`, `"n"`), with(`"3"`, `"m"`)), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := planFile(t, strings.NewReader(tt.file))
			require.Empty(t, p.Errors)
			require.Equal(t, tt.want, p.Model)
		})
	}
}

func TestProgressIsCalledEveryFewMegabytes(t *testing.T) {
	t.Parallel()
	in := newSynthetic(100_000, 300)
	var calls []int64
	_, err := jsonl.Plan(t.Context(), in, io.Discard, jsonl.PlanOptions{
		Endpoint: openai.ChatCompletions, TempDir: t.TempDir(),
		Progress: func(n int64) { calls = append(calls, n) },
	})
	require.NoError(t, err)
	require.Len(t, calls, int(in.size()>>22))
	for i, n := range calls {
		require.InDelta(t, (i+1)<<22, n, float64((i+1)*(256<<10)))
	}
}

func TestACancelledPlanStopsReading(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var read int64
	endless := io.MultiReader(strings.NewReader(file(request("Hi"))), same('x'))
	_, err := jsonl.Plan(ctx, endless, io.Discard, jsonl.PlanOptions{
		Endpoint: openai.ChatCompletions,
		Progress: func(n int64) { read = n; cancel() },
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, read, int64(5<<20))
}

func TestACancelledPlanStopsLookingForDuplicates(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	in := newSynthetic(200_000, 0)
	ended := 0 // calls of Progress when the file is read
	dir := t.TempDir()
	_, err := jsonl.PlanWithin(ctx, in, io.Discard, jsonl.PlanOptions{
		Endpoint: openai.ChatCompletions, TempDir: dir,
		Progress: func(n int64) {
			if n < in.size() {
				return
			}
			if ended++; ended == 2 { // the last read may have been the first
				cancel()
			}
		},
	}, spilling(10_000))
	require.ErrorIs(t, err, context.Canceled)
	require.NotContains(t, err.Error(), "read line")
	require.Equal(t, 2, ended)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "the temporary file must go")
}

func TestIOErrorsComeBack(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk on fire")
	o := jsonl.PlanOptions{Endpoint: openai.ChatCompletions, TempDir: t.TempDir()}

	_, err := jsonl.Plan(t.Context(), io.MultiReader(strings.NewReader(file(request("Hi"))), iotest.ErrReader(broken)), io.Discard, o)
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "plan: read line 2")

	_, err = jsonl.Plan(t.Context(), strings.NewReader(request("Hi")), failingWriter{broken}, o)
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "plan: write index")

	o.TempDir = filepath.Join(o.TempDir, "missing")
	_, err = jsonl.PlanWithin(t.Context(), newSynthetic(10, 0), io.Discard, o, spilling(5))
	require.ErrorIs(t, err, os.ErrNotExist)

	_, err = jsonl.Plan(t.Context(), strings.NewReader(""), io.Discard, jsonl.PlanOptions{Endpoint: "/v1/images/edits"})
	require.ErrorContains(t, err, `unknown endpoint "/v1/images/edits"`)
}

type failingWriter struct{ err error }

// Write implements io.Writer.
func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }
