package api_test

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/openai"
)

const fuzzBoundary = "x"

// FuzzUpload posts any body. Either it is refused in OpenAI's form and nothing
// is kept, or the file that is kept has the bytes of the one part that is a
// file.
func FuzzUpload(f *testing.F) {
	const (
		purpose = "--x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n"
		file    = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\r\n{}\r\n\r\n"
		end     = "--x--\r\n"
	)
	for _, seed := range []string{
		"", end, purpose + end, file + end, purpose + file + end, file + purpose + end, purpose + file, file + file + purpose + end,
		purpose + "--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n{}\r\n" + end,
		purpose + "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"../..\"\r\n\r\n\r\n" + end,
		purpose + "--x\r\nContent-Disposition: form-data; name=\"file\"; filename*=utf-8''%e2%82.jsonl\r\n\r\n--x-\r\n" + end,
		purpose + "--x\r\nContent-Type: nonsense\r\nContent-Transfer-Encoding: quoted-printable\r\n" +
			"Content-Disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\r\n=41=\r\n\r\n" + end,
		purpose + file + "--x\r\nContent-Disposition: form-data; name=\"expires_after[seconds]\"\r\n\r\n9223372036854775808\r\n" + end,
		"--x\nContent-Disposition: form-data; name=purpose\n\nuser_data\n--x\nContent-Disposition: form-data; name=file; filename=a\n\n\n--x--",
		"--x\r\n\r\n--x\r\n\r\n--x--", "--x\r\nContent-Disposition: form-data; name=\"purpose\x00\"\r\n\r\n\r\n--x--",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		b := setup(t)
		w := b.send(t, http.MethodPost, "/v1/files", string(body), "Content-Type: multipart/form-data; boundary="+fuzzBoundary)
		if w.Code != http.StatusOK {
			require.Contains(t, []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge}, w.Code, "%s", w.Body)
			require.Equal(t, openai.TypeInvalidRequest, envelope(t, w).Type)
			requireEmpty(t, b)
			return
		}
		want := fileOf(t, body)
		got := decode[openai.File](t, w.Body)
		require.Equal(t, int64(len(want)), got.Bytes)
		require.NotContains(t, got.Filename, "/")
		content := b.send(t, http.MethodGet, "/v1/files/"+got.ID+"/content", "")
		require.Equal(t, http.StatusOK, content.Code)
		require.Equal(t, string(want), content.Body.String())
	})
}

// requireEmpty requires that the store holds nothing, not even a part.
func requireEmpty(t *testing.T, b *testBundle) {
	t.Helper()
	for key, err := range b.store.Keys(t.Context(), "") {
		require.NoError(t, err)
		require.Fail(t, "something was kept", key)
	}
}

// fileOf reads the part that is a file on its own.
func fileOf(t *testing.T, body []byte) []byte {
	t.Helper()
	parts := multipart.NewReader(bytes.NewReader(body), fuzzBoundary)
	var found []byte
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return found
		}
		require.NoError(t, err)
		if part.FormName() == "file" {
			require.Nil(t, found, "two files")
			found, err = io.ReadAll(part)
			require.NoError(t, err)
		}
	}
}
