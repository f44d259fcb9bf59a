package client_test

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/client"
	"github.com/headrace/headrace/internal/openai"
)

// part is a part of a multipart form.
type part struct{ name, filename, content string }

// parts reads a form as far as it comes.
func parts(r *http.Request) ([]part, error) {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	var all []part
	for form := multipart.NewReader(r.Body, params["boundary"]); ; {
		p, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		content, err := io.ReadAll(p)
		if err != nil {
			return all, err
		}
		all = append(all, part{p.FormName(), p.FileName(), string(content)})
	}
}

func TestAnUploadSaysItsPurposeBeforeTheFile(t *testing.T) {
	t.Parallel()
	want := openai.File{ID: "file-1", Object: openai.ObjectFile, Bytes: 7, Filename: `in "put".jsonl`, Purpose: openai.PurposeBatch}
	content := "{\"a\":1}\n\x00\xff\r\n--boundary\n"
	var got []part
	s, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var err error
		if got, err = parts(r); err != nil {
			t.Error(err)
		}
		answerJSON(t, w, want)
	})
	f, err := c.Upload(t.Context(), want.Filename, bytes.NewReader([]byte(content)))
	require.NoError(t, err)
	require.Equal(t, want, f)
	require.Equal(t, []part{{name: "purpose", content: "batch"}, {"file", want.Filename, content}}, got)
	require.Equal(t, "POST /v1/files", s.last(t))
}

// TestAnUploadIsStreamed sends a file of which each piece is there only once the
// server has read the one before.
func TestAnUploadIsStreamed(t *testing.T) {
	t.Parallel()
	const pieces, size = 8, 256 << 10
	seen := make(chan int64)
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != -1 {
			t.Errorf("a length of %d is known beforehand", r.ContentLength)
		}
		var read int64
		for range pieces {
			n, err := io.CopyN(io.Discard, r.Body, size/2)
			if read += n; err != nil {
				t.Error(err)
			}
			seen <- read
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "{}")
	})
	readers := []io.Reader{bytes.NewReader(make([]byte, size))}
	for range pieces {
		readers = append(readers, onceSeen{seen}, bytes.NewReader(make([]byte, size)))
	}
	_, err := c.Upload(t.Context(), "input.jsonl", io.MultiReader(readers...))
	require.NoError(t, err)
}

// onceSeen is a reader of nothing that waits for the server.
type onceSeen struct{ seen <-chan int64 }

func (o onceSeen) Read([]byte) (int, error) {
	<-o.seen
	return 0, io.EOF
}

func TestAFileThatCannotBeReadIsNotUploaded(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk on fire")
	failed := make(chan error, 1)
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, err := parts(r)
		failed <- err
		w.WriteHeader(http.StatusBadRequest)
	})
	_, err := c.Upload(t.Context(), "input.jsonl", io.MultiReader(bytes.NewReader(make([]byte, 1<<20)), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
	require.Error(t, <-failed, "the server must not take a part for the whole")
}

func TestAnUploadThatIsRefusedEarlyTellsWhy(t *testing.T) {
	t.Parallel()
	_, c := serve(t, answer(http.StatusBadRequest, `{"error":{"message":"no room","type":"invalid_request_error","param":null,"code":null}}`))
	_, err := c.Upload(t.Context(), "input.jsonl", bytes.NewReader(make([]byte, 100<<10)))
	require.ErrorContains(t, err, "no room")
}

func TestNothingOfAnUploadIsLeftRunning(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"http://host\x7f", "http://127.0.0.1:0"} {
		_, err := client.New(base).Upload(t.Context(), "input.jsonl", bytes.NewReader(make([]byte, 1<<20)))
		require.Error(t, err)
	} // TestMain finds what is
}
