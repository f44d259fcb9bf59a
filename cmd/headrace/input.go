package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/jsonl"
	"github.com/headrace/headrace/internal/openai"
)

// input is the file that a run is about.
type input struct {
	path     string
	file     *os.File
	endpoint openai.Endpoint
	sum      []byte // SHA-256 of its content
}

// openInput opens and reads the file. Without an endpoint, that of its first
// request holds.
func openInput(path, endpoint string) (*input, error) {
	// A pipe would be waited for, and cannot be read twice.
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file: save the requests to one first", path)
	}
	file, err := os.Open(path) //nolint:gosec // the user's own choice
	if err != nil {
		return nil, err
	}
	in := &input{path: path, file: file, endpoint: openai.Endpoint(endpoint)}
	if err := in.read(); err != nil {
		in.close()
		return nil, err // it names the file
	}
	return in, nil
}

func (in *input) close() { _ = in.file.Close() }

func (in *input) read() error {
	sum := sha256.New()
	if _, err := io.Copy(sum, in.file); err != nil {
		return err
	}
	in.sum = sum.Sum(nil)
	if in.endpoint != "" {
		return nil
	}
	content, err := in.rewind()
	if err != nil {
		return err
	}
	in.endpoint, err = firstEndpoint(content)
	return err
}

// firstEndpoint is the url of the first request, or chat completions if it has
// none that can be called: then validation says what is wrong.
func firstEndpoint(content io.Reader) (openai.Endpoint, error) {
	line, err := jsonl.NewReader(content, jsonl.Position{Line: 1}).Next()
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if e := openai.Endpoint(gjson.GetBytes(line.Text, "url").String()); e.Valid() {
		return e, nil
	}
	return openai.ChatCompletions, nil
}

// rewind returns the file's content from the start.
func (in *input) rewind() (io.Reader, error) {
	_, err := in.file.Seek(0, io.SeekStart)
	return in.file, err
}

// name is what the server is told; it insists on the extension.
func (in *input) name() string {
	base := filepath.Base(in.path)
	if strings.EqualFold(filepath.Ext(base), ".jsonl") {
		return base
	}
	return base + ".jsonl"
}

// key names the run of this input against an upstream, or a server that has its
// own: the same command finds what it left.
func (in *input) key(upstream, server string) string {
	to := upstream
	if server != "" {
		to = "server"
	}
	sum := sha256.New()
	for _, part := range []string{hex.EncodeToString(in.sum), string(in.endpoint), to} {
		_, _ = io.WriteString(sum, part+"\n")
	}
	return hex.EncodeToString(sum.Sum(nil))
}
