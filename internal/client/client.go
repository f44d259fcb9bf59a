// Package client speaks headrace's HTTP API, for the commands that do. It
// knows the wire objects of internal/openai, internal/batch and internal/queue
// and nothing of the server.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/secret"
)

// Client calls one server. It is safe for concurrent use.
type Client struct {
	base string
	http *http.Client
	key  secret.String // empty if none is shown
}

// New returns a client of the server at base, such as http://127.0.0.1:8080,
// with or without /v1 at its end.
func New(base string) *Client {
	base = strings.TrimSuffix(strings.TrimSuffix(base, "/"), "/v1")
	return &Client{base: base + "/v1", http: &http.Client{}}
}

// WithKey returns a client of the same server that shows a key with every
// request. An empty one is not shown. A server that sends the client elsewhere by
// a redirect does not make it show the key there.
func (c *Client) WithKey(key secret.String) *Client {
	with := *c
	with.key = key
	return &with
}

// Upload sends a file for a batch and returns it. The file is streamed.
func (c *Client) Upload(ctx context.Context, name string, content io.Reader) (openai.File, error) {
	body, w := io.Pipe()
	form := multipart.NewWriter(w)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/files", body)
	if err != nil {
		return openai.File{}, err
	}
	req.Header.Set("Content-Type", form.FormDataContentType())
	go func() {
		w.CloseWithError(writeForm(form, name, content))
	}()
	var f openai.File
	err = c.do(req, &f)
	_ = body.Close() // ends the writer if the server answered early
	return f, err
}

func writeForm(form *multipart.Writer, name string, content io.Reader) error {
	if err := form.WriteField("purpose", string(openai.PurposeBatch)); err != nil {
		return err
	}
	part, err := form.CreateFormFile("file", name)
	if err != nil {
		return err
	}
	if _, err := io.Copy(part, content); err != nil {
		return err
	}
	return form.Close()
}

// NewBatch is what CreateBatch asks for.
type NewBatch struct {
	InputFileID      string            `json:"input_file_id"`
	Endpoint         openai.Endpoint   `json:"endpoint"`
	CompletionWindow string            `json:"completion_window"`
	Metadata         map[string]string `json:"metadata,omitempty"`
	Headrace         NewBatchOptions   `json:"headrace"`
}

// NewBatchOptions are the options of a NewBatch; zero means the server's
// default.
type NewBatchOptions struct {
	MaxConcurrency int    `json:"max_concurrency,omitempty"`
	MaxAttempts    int    `json:"max_attempts,omitempty"`
	Queue          string `json:"queue,omitempty"`
	Priority       int    `json:"priority,omitempty"`
}

// CreateBatch starts a batch.
func (c *Client) CreateBatch(ctx context.Context, b NewBatch) (batch.Object, error) {
	var o batch.Object
	return o, c.sendJSON(ctx, http.MethodPost, "/batches", b, &o)
}

// Batch returns a batch as it is now.
func (c *Client) Batch(ctx context.Context, id string) (batch.Object, error) {
	var o batch.Object
	return o, c.get(ctx, "/batches/"+url.PathEscape(id), &o)
}

// FindBatch returns the newest batch of which match is true, and whether there
// is one.
func (c *Client) FindBatch(ctx context.Context, match func(batch.Object) bool) (batch.Object, bool, error) {
	query := url.Values{"limit": {"100"}}
	for {
		var page openai.List[batch.Object]
		if err := c.get(ctx, "/batches?"+query.Encode(), &page); err != nil {
			return batch.Object{}, false, err
		}
		for _, o := range page.Data {
			if match(o) {
				return o, true, nil
			}
		}
		if !page.HasMore || page.LastID == nil {
			return batch.Object{}, false, nil
		}
		query.Set("after", *page.LastID)
	}
}

// Content streams the content of a file.
func (c *Client) Content(ctx context.Context, file string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/files/"+url.PathEscape(file)+"/content", nil)
	if err != nil {
		return nil, err
	}
	res, err := c.send(req)
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

func (c *Client) get(ctx context.Context, path string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return err
	}
	return c.do(req, v)
}

// sendJSON sends body as JSON and decodes the answer into v.
func (c *Client) sendJSON(ctx context.Context, method, path string, body, v any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	return c.do(req, v)
}

func (c *Client) do(req *http.Request, v any) error {
	res, err := c.send(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if err := json.NewDecoder(res.Body).Decode(v); err != nil {
		return fmt.Errorf("decode answer of %s %s: %w", req.Method, req.URL.Path, err)
	}
	return nil
}

// send returns a response that is no error; the caller closes its body.
func (c *Client) send(req *http.Request) (*http.Response, error) {
	if !c.key.Empty() {
		req.Header.Set("Authorization", "Bearer "+c.key.Reveal())
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode < http.StatusBadRequest {
		return res, nil
	}
	defer func() { _ = res.Body.Close() }()
	var e openai.Envelope
	const longest = 64 << 10
	if err := json.NewDecoder(io.LimitReader(res.Body, longest)).Decode(&e); err != nil || e.Error == nil {
		return nil, fmt.Errorf("%s %s: %s", req.Method, req.URL.Path, res.Status)
	}
	e.Error.Status = res.StatusCode
	return nil, fmt.Errorf("%s (request %s): %w", req.URL.Path, res.Header.Get("X-Request-Id"), e.Error)
}
