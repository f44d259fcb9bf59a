package provider

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"time"

	goopenai "github.com/sashabaranov/go-openai"

	"github.com/headrace/headrace/internal/llm"
)

// exchange is one call below go-openai: the bytes that are sent in place of
// what it encoded, and what came back before it was decoded.
type exchange struct {
	body   []byte  // nil for a call without one
	stream *stream // nil for an answer in one piece

	status int
	header http.Header
	answer []byte
	err    error // no whole response came

	streamed bool // the response is a stream, of which answer has nothing
}

type exchangeKey struct{}

// exchanger is the HTTP client that go-openai is given.
type exchanger struct {
	client *http.Client
	header http.Header
}

// Do implements goopenai.HTTPDoer.
func (e *exchanger) Do(req *http.Request) (*http.Response, error) {
	x, ok := req.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		return nil, errors.New("call without an exchange")
	}
	if req.Body != nil {
		_ = req.Body.Close()
		req.Body = io.NopCloser(bytes.NewReader(x.body))
		req.ContentLength = int64(len(x.body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(x.body)), nil }
	}
	maps.Copy(req.Header, e.header)

	res, err := x.send(e.client, req)
	if err != nil {
		x.err = err
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	x.status, x.header = res.StatusCode, res.Header
	if x.err = x.receive(res); x.err != nil {
		return nil, x.err
	}
	// go-openai reads errors, which it knows how to, and an empty object
	// instead of an answer, which it would decode for nobody.
	seen := emptyObject
	if res.StatusCode >= http.StatusBadRequest {
		seen = x.answer
	}
	return &http.Response{
		Status: res.Status, StatusCode: res.StatusCode, Header: res.Header, Body: io.NopCloser(bytes.NewReader(seen)),
	}, nil
}

var emptyObject = []byte("{}")

// send sends the request and waits for the head of the response.
func (x *exchange) send(c *http.Client, req *http.Request) (*http.Response, error) {
	if x.stream != nil {
		return x.stream.send(c, req)
	}
	return c.Do(req) //nolint:gosec // where to is the operator's choice
}

// receive reads the body of the response: into answer, or frame by frame where
// a stream is wanted and comes.
func (x *exchange) receive(res *http.Response) (err error) {
	if x.stream != nil && isStream(res) {
		x.streamed = true
		return x.stream.receive(res.Body)
	}
	if x.answer, err = readAll(res); err != nil {
		return fmt.Errorf("read response: %w", err)
	}
	return nil
}

// readAll reads a body into one slice of the right size where the length is
// known.
func readAll(res *http.Response) ([]byte, error) {
	const trusted = 1 << 20 // a length beyond this is not allocated on the peer's word
	if res.ContentLength <= 0 || res.ContentLength > trusted {
		return io.ReadAll(res.Body)
	}
	b := make([]byte, res.ContentLength)
	_, err := io.ReadFull(res.Body, b)
	return b, err
}

// whole reports whether a whole response came.
func (x *exchange) whole() bool { return x.err == nil && x.status != 0 }

// outcome is what the call came to. err is go-openai's.
func (x *exchange) outcome(err error) (llm.Response, error) {
	if !x.whole() {
		return llm.Response{}, x.failure(err)
	}
	if x.streamed {
		return x.known(), nil
	}
	id, success := x.header.Get("X-Request-Id"), succeeded(x.status)
	if success {
		if usage, valid := llm.UsageOf(x.answer); valid {
			return llm.Response{Status: x.status, RequestID: id, Header: x.header, Body: x.answer, Usage: usage}, nil
		}
	}
	e := &llm.Error{
		Status: x.status, RequestID: id, Header: x.header, Body: x.answer, RetryAfter: llm.RetryAfter(x.header, time.Now()),
	}
	var errType string
	var api *goopenai.APIError
	switch {
	case success:
		e.Code, e.Message = llm.CodeInvalid, "the response is not valid JSON"
	case x.status < http.StatusBadRequest:
		e.Code, e.Message = llm.CodeInvalid, errRedirect.Error()
	case errors.As(err, &api):
		errType, e.Code, e.Message = api.Type, codeOf(api), cmp.Or(api.Message, http.StatusText(x.status))
	default:
		e.Code, e.Message = llm.CodeInvalid, http.StatusText(x.status)
	}
	e.Kind = llm.Classify(x.status, x.header, errType, e.Code)
	return llm.Response{}, e
}

func succeeded(status int) bool {
	return status >= http.StatusOK && status < http.StatusMultipleChoices
}

// codeOf returns the code of an error, which some providers send as a number.
// Zero is what go-openai makes of null.
func codeOf(e *goopenai.APIError) string {
	if e.Code == nil || e.Code == 0 {
		return ""
	}
	return fmt.Sprint(e.Code)
}

// failure is a call that no whole response came of. Err is nil only if
// go-openai refused the call before it was sent.
func (x *exchange) failure(err error) *llm.Error {
	if x.err == nil {
		return &llm.Error{Kind: llm.Permanent, Code: llm.CodeInvalid, Message: err.Error(), Err: err}
	}
	e := &llm.Error{Kind: llm.Transient, Code: llm.CodeConnection, Message: x.err.Error(), Err: x.err}
	switch {
	case neverConnected(x.err):
		e.Kind = llm.Unreachable
	case errors.Is(x.err, context.DeadlineExceeded):
		e.Code, e.Message = llm.CodeTimeout, "the provider did not answer in time"
	case errors.Is(x.err, errSilence):
		e.Code = llm.CodeTimeout
	}
	return e
}

// neverConnected reports whether err kept the connection from being made, so
// that the provider has seen nothing of the call.
func neverConnected(err error) bool {
	var (
		dns    *net.DNSError
		op     *net.OpError
		cert   *tls.CertificateVerificationError
		record tls.RecordHeaderError
	)
	return errors.As(err, &dns) || errors.As(err, &cert) || errors.As(err, &record) ||
		errors.Is(err, http.ErrSchemeMismatch) || // net/http puts it in place of a record error
		errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect")
}
