package results

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/jsonscan"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/openai"
)

// linePrefix starts every line, and the ids of all lines.
const (
	linePrefix = `{"id":"` + idPrefix
	idPrefix   = "batch_req_"
)

// Namer makes the ids of one batch's lines.
type Namer struct{ suffix string }

// NewNamer returns the namer of a batch.
func NewNamer(batch string) Namer {
	return Namer{suffix: strings.TrimPrefix(batch, openai.PrefixBatch)}
}

// appendID appends the id of an input line, which is the same whoever makes the
// call and however often.
func (n Namer) appendID(dst []byte, line int64) []byte {
	dst = append(dst, n.suffix...)
	dst = append(dst, '_')
	return strconv.AppendInt(dst, line, 10)
}

func (n Namer) appendHead(dst []byte, line int64, customID []byte) []byte {
	dst = append(dst, linePrefix...)
	dst = n.appendID(dst, line)
	dst = append(dst, `","custom_id":`...)
	return append(dst, customID...)
}

// AppendAnswer appends the line of a request that was answered. The answer's
// bytes stand in it as they came, except that line breaks between its tokens
// are left out: a line cannot hold them. If another target than the request's own
// has answered, the line says which.
func (n Namer) AppendAnswer(dst []byte, line int64, customID []byte, r llm.Response) []byte {
	dst = n.appendHead(dst, line, customID)
	dst = n.appendResponse(dst, line, r.Status, r.RequestID)
	dst = appendOneLine(dst, r.Body)
	dst = append(dst, "},\"error\":null"...)
	if r.Via != (batch.Target{}) {
		dst = append(dst, `,"headrace":`...)
		dst = appendJSON(dst, r.Via)
	}
	return append(dst, "}\n"...)
}

// AppendFailure appends the line of a request whose last attempt failed. It
// keeps the provider's status and body; a body that is not JSON becomes the
// message of an error object.
func (n Namer) AppendFailure(dst []byte, line int64, customID []byte, e *llm.Error) []byte {
	dst = n.appendHead(dst, line, customID)
	if e.Status == 0 {
		dst = append(dst, `,"response":null`...)
		return appendError(dst, e.Code, e.Message)
	}
	dst = n.appendResponse(dst, line, e.Status, e.RequestID)
	isJSON := jsonscan.Valid(e.Body)
	if isJSON {
		dst = appendOneLine(dst, e.Body)
	} else {
		dst = appendJSON(dst, openai.Envelope{Error: textError(e)})
	}
	dst = append(dst, '}')
	if e.Status < http.StatusBadRequest { // no error status says that this is one
		return appendError(dst, e.Code, e.Message)
	}
	return append(dst, ",\"error\":null}\n"...)
}

// AppendUnmade appends the line of a request that was never made.
func (n Namer) AppendUnmade(dst []byte, line int64, customID []byte, code, message string) []byte {
	dst = n.appendHead(dst, line, customID)
	dst = append(dst, `,"response":null`...)
	return appendError(dst, code, message)
}

func (n Namer) appendResponse(dst []byte, line int64, status int, requestID string) []byte {
	dst = append(dst, `,"response":{"status_code":`...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, `,"request_id":`...)
	if requestID != "" {
		dst = appendJSON(dst, requestID)
	} else {
		dst = append(dst, '"')
		dst = append(dst, openai.PrefixRequest...)
		dst = n.appendID(dst, line)
		dst = append(dst, '"')
	}
	return append(dst, `,"body":`...)
}

func appendError(dst []byte, code, message string) []byte {
	dst = append(dst, `,"error":{"code":`...)
	dst = appendJSON(dst, code)
	dst = append(dst, `,"message":`...)
	dst = appendJSON(dst, message)
	return append(dst, "}}\n"...)
}

// textError is the error object of a response whose body is not JSON.
func textError(e *llm.Error) *openai.Error {
	const longest = 64 << 10
	text := strings.ToValidUTF8(string(e.Body[:min(len(e.Body), longest)]), "\uFFFD")
	if text == "" {
		text = e.Message
	}
	code := llm.CodeInvalid
	return &openai.Error{Message: text, Type: openai.TypeServer, Code: &code}
}

func appendJSON(dst []byte, v any) []byte {
	data, err := json.Marshal(v)
	if err != nil { // strings and plain structs always encode
		panic(err)
	}
	return append(dst, data...)
}

// appendOneLine appends JSON without its line breaks, which can only stand
// between tokens.
func appendOneLine(dst, body []byte) []byte {
	if bytes.IndexByte(body, '\n') < 0 && bytes.IndexByte(body, '\r') < 0 {
		return append(dst, body...)
	}
	for _, b := range body {
		if b != '\n' && b != '\r' {
			dst = append(dst, b)
		}
	}
	return dst
}

// errNotOurs refuses a line that this package did not write.
var errNotOurs = errors.New("not a result line")

// NumberOf returns the input line that a result line answers.
func NumberOf(text []byte) (int64, error) {
	rest, ok := bytes.CutPrefix(text, []byte(linePrefix))
	end := bytes.IndexByte(rest, '"')
	if !ok || end < 0 {
		return 0, errNotOurs
	}
	id := rest[:end]
	n, err := strconv.ParseInt(string(id[bytes.LastIndexByte(id, '_')+1:]), 10, 64)
	if err != nil {
		return 0, errNotOurs
	}
	return n, nil
}

// BatchOf returns the id of the batch that a result line belongs to.
func BatchOf(text []byte) (string, error) {
	rest, ok := bytes.CutPrefix(text, []byte(linePrefix))
	end := bytes.IndexByte(rest, '_')
	if !ok || end < 0 {
		return "", errNotOurs
	}
	return openai.PrefixBatch + string(rest[:end]), nil
}

// readBack returns what a line of the store tells of itself.
func readBack(text []byte) (entry, error) {
	n, err := NumberOf(text)
	if err != nil {
		return entry{}, err
	}
	e := entry{line: n, bytes: int64(len(text))}
	fields := gjson.GetManyBytes(text, "response.status_code", "error", "error.code")
	answered := fields[0].Int() >= http.StatusOK && fields[0].Int() < http.StatusMultipleChoices
	switch {
	case answered && fields[1].Type == gjson.Null:
		e.result = Answered
		e.usage, _ = llm.UsageOf([]byte(gjson.GetBytes(text, "response.body").Raw))
	case fields[2].Str == openai.CodeBatchCancelled, fields[2].Str == openai.CodeBatchExpired:
		e.result = Unmade
	default:
		e.result = Failed
	}
	return e, nil
}
