package simulator

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/headrace/headrace/internal/openai"
)

// Headers of answers, spelled as net/http keeps them.
const (
	headerContentType       = "Content-Type"
	headerContentLength     = "Content-Length"
	headerCacheControl      = "Cache-Control"
	headerAllow             = "Allow"
	headerRequestID         = "X-Request-Id"
	headerProcessing        = "Openai-Processing-Ms"
	headerVersion           = "Openai-Version"
	headerRetryAfter        = "Retry-After"
	headerRetryAfterMs      = "Retry-After-Ms"
	headerShouldRetry       = "X-Should-Retry"
	headerLimitRequests     = "X-Ratelimit-Limit-Requests"
	headerLimitTokens       = "X-Ratelimit-Limit-Tokens" //nolint:gosec // no credential
	headerRemainingRequests = "X-Ratelimit-Remaining-Requests"
	headerRemainingTokens   = "X-Ratelimit-Remaining-Tokens" //nolint:gosec // no credential
	headerResetRequests     = "X-Ratelimit-Reset-Requests"
	headerResetTokens       = "X-Ratelimit-Reset-Tokens" //nolint:gosec // no credential
)

const (
	typeJSON   = "application/json"
	typeHTML   = "text/html; charset=utf-8"
	typeStream = "text/event-stream; charset=utf-8"

	// apiVersion is the value of Openai-Version.
	apiVersion = "2020-10-01"
	// httpDate is the form of dates in headers.
	httpDate = http.TimeFormat
)

// writeJSON answers with a body in one piece. A client that has left is no
// concern of its callers.
func writeJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set(headerContentType, typeJSON)
	h.Set(headerContentLength, strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // JSON, and declared so
}

// writeError answers with OpenAI's error envelope.
func writeError(w http.ResponseWriter, e *openai.Error) {
	if e.NoRetry {
		w.Header().Set(headerShouldRetry, "false")
	}
	writeJSON(w, e.Status, errorBody(e))
}

func errorBody(e *openai.Error) []byte {
	body, err := json.Marshal(openai.Envelope{Error: e})
	if err != nil {
		panic(err) // strings only: it cannot fail
	}
	return body
}

// notAllowed returns the error of a wrong method, and names the right one.
func notAllowed(w http.ResponseWriter, r *http.Request, allowed string) *openai.Error {
	w.Header().Set(headerAllow, allowed)
	e := openai.InvalidRequest("", codeMethod, "Not allowed to %s on %s.", r.Method, r.URL.Path)
	e.Status = http.StatusMethodNotAllowed
	return e
}
