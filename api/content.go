package api

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
)

// fileContent reads a file of the store from wherever it is sought to. It
// implements io.ReadSeeker for http.ServeContent, which honours ranges.
type fileContent struct {
	ctx     context.Context //nolint:containedctx // io.Reader has no place for it
	store   *store.Store
	project string
	file    openai.File

	offset int64
	open   io.ReadCloser // nil until the first Read after a Seek
	err    error         // of reading, other than the end
}

// Read implements io.Reader.
func (f *fileContent) Read(p []byte) (int, error) {
	if f.open == nil {
		open, err := f.store.OpenFile(f.ctx, f.project, f.file, f.offset, -1)
		if err != nil {
			f.err = err
			return 0, err
		}
		f.open = open
	}
	n, err := f.open.Read(p)
	f.offset += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}

// Seek implements io.Seeker.
func (f *fileContent) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.offset
	case io.SeekEnd:
		offset += f.file.Bytes
	}
	if offset < 0 {
		return 0, errors.New("seek before the start")
	}
	f.offset = offset
	return offset, f.Close()
}

// Close implements io.Closer.
func (f *fileContent) Close() error {
	if f.open == nil {
		return nil
	}
	open := f.open
	f.open = nil
	return open.Close()
}

func attachment(filename string) string {
	return mime.FormatMediaType("attachment", map[string]string{"filename": filename})
}

// rangeRefuser makes an OpenAI error of the plain text with which
// http.ServeContent answers a range that a file does not have.
type rangeRefuser struct {
	http.ResponseWriter

	refused bool
}

var errRange = &openai.Error{
	Status: http.StatusRequestedRangeNotSatisfiable, Type: openai.TypeInvalidRequest,
	Message: "The file does not have the range that was asked for.",
}

// WriteHeader implements http.ResponseWriter.
func (r *rangeRefuser) WriteHeader(status int) {
	if status != errRange.Status {
		r.ResponseWriter.WriteHeader(status)
		return
	}
	r.refused = true
	r.Header().Del("Content-Disposition")
	writeError(r.ResponseWriter, errRange)
}

// Write implements http.ResponseWriter.
func (r *rangeRefuser) Write(p []byte) (int, error) {
	if r.refused {
		return len(p), nil
	}
	return r.ResponseWriter.Write(p)
}
