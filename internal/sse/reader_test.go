package sse_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/sse"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noLimit is beyond every stream of these tests.
const noLimit = 1 << 20

// frames reads a stream to its end, which it returns too.
func frames(r io.Reader, limit int) ([]sse.Frame, error) {
	reader := sse.NewReader(r, limit)
	var all []sse.Frame
	for {
		f, err := reader.Next()
		if f.Raw != nil {
			all = append(all, f)
		}
		if err != nil {
			return all, err
		}
	}
}

func TestAFrameHasTheFieldsOfItsLines(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]sse.Frame{
		"data: {\"a\":1}\n\n":                            {Data: []byte(`{"a":1}`)},
		"event: response.created\ndata: {}\nid: 7\n\n":   {Event: "response.created", Data: []byte("{}"), ID: "7"},
		"data:a\ndata: b\ndata:  c\n\n":                  {Data: []byte("a\nb\n c")},
		"data\n\n":                                       {Data: []byte{}},
		"data:\ndata\ndata: \n\n":                        {Data: []byte("\n\n")},
		"data: a: b\n\n":                                 {Data: []byte("a: b")},
		": comment\n\n":                                  {},
		":\ndata: x\n: y\n\n":                            {Data: []byte("x")},
		"event: first\nevent: second\n\n":                {Event: "second"},
		"id: 1\nid: 2\x00\n\n":                           {ID: "1"},
		"Data: x\n data: y\nretry: 10\nvendor: z\nq\n\n": {},
		"data: \xff\x00é\n\n":                            {Data: []byte("\xff\x00é")},
	} {
		for _, end := range []string{"\n", "\r\n", "\r"} {
			text := strings.ReplaceAll(raw, "\n", end)
			got, err := frames(strings.NewReader(text), noLimit)
			require.ErrorIs(t, err, io.EOF)
			want.Raw = []byte(text)
			require.Equal(t, []sse.Frame{want}, got, "%q", text)
		}
	}
}

func TestAStreamIsCutWhereEmptyLinesAre(t *testing.T) {
	t.Parallel()
	for stream, want := range map[string][]string{
		"":                               nil,
		"\n":                             {"\n"},
		"\r\n\n\r":                       {"\r\n\n\r"},
		"data: 1\n\ndata: 2\n\n":         {"data: 1\n\n", "data: 2\n\n"},
		"data: 1\n\n\n\ndata: 2\n\n\n":   {"data: 1\n\n", "\n\ndata: 2\n\n", "\n"},
		"data: 1\r\n\r\ndata: 2\r\n\r\n": {"data: 1\r\n\r\n", "data: 2\r\n\r\n"},
		"data: 1\r\rdata: 2\r\r":         {"data: 1\r\r", "data: 2\r\r"},
		"data: 1\r\n\rdata: 2\r\n\r":     {"data: 1\r\n\r", "data: 2\r\n\r"},
		"data: 1\n\r\ndata: 2\n\r\n":     {"data: 1\n\r", "\ndata: 2\n\r", "\n"},
		": a\n\n: b\n\ndata: 1\n\n":      {": a\n\n", ": b\n\n", "data: 1\n\n"},
		"\ufeffdata: 1\n\n\ufeff: 2\n\n": {"\ufeffdata: 1\n\n", "\ufeff: 2\n\n"},
	} {
		got, err := frames(strings.NewReader(stream), noLimit)
		require.Equal(t, io.EOF, err, "%q", stream)
		var raw []string
		for _, f := range got {
			raw = append(raw, string(f.Raw))
		}
		require.Equal(t, want, raw, "%q", stream)
	}
}

func TestAByteOrderMarkCountsForNothingAtTheStart(t *testing.T) {
	t.Parallel()
	got, err := frames(strings.NewReader("\ufeffdata: 1\n\n\ufeffdata: 2\n\n"), noLimit)
	require.Equal(t, io.EOF, err)
	require.Equal(t, "1", string(got[0].Data))
	require.Nil(t, got[1].Data, "the name of this field is another")
}

func TestAStreamThatEndsWithinAFrameGivesWhatThereIs(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection reset")
	for _, rest := range []string{"data: [DONE]\n", "data: [DONE]", "data: [DONE]\r\n", "data: [DONE]\r"} {
		got, err := frames(strings.NewReader("data: 1\n\n"+rest), noLimit)
		require.Equal(t, io.ErrUnexpectedEOF, err)
		require.Len(t, got, 2)
		require.Equal(t, rest, string(got[1].Raw))
		require.Equal(t, "[DONE]", string(got[1].Data))

		got, err = frames(io.MultiReader(strings.NewReader("data: 1\n\n"+rest), iotest.ErrReader(broken)), noLimit)
		require.Equal(t, broken, err)
		require.Len(t, got, 2)
	}
}

func TestAFrameBeyondTheLimitIsRefused(t *testing.T) {
	t.Parallel()
	const limit = 1000
	exact := "data: " + strings.Repeat("x", limit-len("data: \n\n")) + "\n\n"
	got, err := frames(strings.NewReader(exact+exact), limit)
	require.Equal(t, io.EOF, err)
	require.Len(t, got, 2)
	got, err = frames(strings.NewReader(exact+"x"+exact), limit)
	require.Equal(t, sse.ErrTooLarge, err)
	require.Len(t, got, 1)
	_, err = frames(strings.NewReader(strings.Repeat("\n", limit+1)), limit)
	require.Equal(t, sse.ErrTooLarge, err, "empty lines use memory too")
}

// TestAFrameIsReturnedWhenItsEndHasCome writes frames one by one to a reader
// that must not wait for more.
func TestAFrameIsReturnedWhenItsEndHasCome(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"\n", "\r\n", "\r"} {
		r, w := io.Pipe()
		reader := sse.NewReader(r, noLimit)
		for range 3 {
			frame := "data: x" + end + end
			written := make(chan error, 1)
			go func() {
				_, err := io.WriteString(w, frame)
				written <- err
			}()
			f, err := reader.Next()
			require.NoError(t, err)
			require.Equal(t, frame, string(f.Raw))
			require.NoError(t, <-written)
		}
		require.NoError(t, w.Close())
		_, err := reader.Next()
		require.Equal(t, io.EOF, err)
		_, err = reader.Next()
		require.Equal(t, io.EOF, err, "again")
	}
}

// genStream generates streams that are odd in every way that counts.
var genStream = rapid.Custom(func(t *rapid.T) []byte {
	parts := rapid.SliceOf(rapid.SampledFrom([]string{
		"\n", "\r", "\r\n", "\n\n", "\r\n\r\n", "\r\r", "data: x", "data:", "data", "event: e", "id: 1", ": c", " ", ":", "\ufeff", "\x00",
	})).Draw(t, "stream")
	return []byte(strings.Join(parts, ""))
})

func TestFramesDoNotDependOnHowTheBytesCome(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		stream := genStream.Draw(t, "stream")
		whole, wholeErr := frames(bytes.NewReader(stream), noLimit)
		for name, r := range map[string]io.Reader{
			"byte by byte": iotest.OneByteReader(bytes.NewReader(stream)),
			"by halves":    iotest.HalfReader(bytes.NewReader(stream)),
			"with its end": iotest.DataErrReader(bytes.NewReader(stream)),
		} {
			got, err := frames(r, noLimit)
			require.Equal(t, wholeErr, err, name)
			require.Equal(t, whole, got, name)
		}
	})
}

// FuzzReader compares with slowEvents, and looks for lost bytes.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{
		"data: 1\n\n", "\ufeffdata: 1\r\n\r\nevent: e\r\rdata\n\r\n", "id: 1\x00\n\n: c\n\ndata: a\ndata: b\n\ndata: [DONE]", "\n\r\n\r",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stream []byte) { requireSameEvents(t, stream) })
}

func TestAReaderAgreesWithTheStandardsOwnWords(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { requireSameEvents(t, genStream.Draw(t, "stream")) })
}

func requireSameEvents(t require.TestingT, stream []byte) {
	got, err := frames(bytes.NewReader(stream), len(stream)+1)
	require.True(t, err == io.EOF || err == io.ErrUnexpectedEOF, "%v", err) //nolint:errorlint // these very errors
	var joined []byte
	var events []event
	for i, f := range got {
		joined = append(joined, f.Raw...)
		complete := err == io.EOF || i+1 < len(got) //nolint:errorlint // this very error
		if f.Data != nil && complete {
			events = append(events, event{f.Event, string(f.Data)})
		}
	}
	require.Equal(t, string(stream), string(joined))
	require.Equal(t, slowEvents(string(stream)), events, "%q", stream)
}

// event is what the standard dispatches, without the id, which it keeps from
// one event to the next.
type event struct{ name, data string }

// slowEvents follows the standard's "interpreting an event stream" to the
// letter.
func slowEvents(stream string) []event {
	stream = strings.TrimPrefix(stream, "\ufeff")
	stream = strings.ReplaceAll(strings.ReplaceAll(stream, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(stream, "\n")
	var events []event
	var name, data string
	for _, line := range lines[:len(lines)-1] { // the last has no end
		field, value, _ := strings.Cut(line, ":")
		switch {
		case line == "":
			if data != "" {
				events = append(events, event{name, strings.TrimSuffix(data, "\n")})
			}
			name, data = "", ""
		case field == "event":
			name = strings.TrimPrefix(value, " ")
		case field == "data":
			data += strings.TrimPrefix(value, " ") + "\n"
		}
	}
	return events
}

func BenchmarkReader(b *testing.B) {
	stream := bytes.Repeat([]byte("data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" water\"}}]}\n\n"), 1000)
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for range b.N {
		_, err := frames(bytes.NewReader(stream), noLimit)
		require.Equal(b, io.EOF, err)
	}
}

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second
