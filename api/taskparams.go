package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
	"github.com/tidwall/gjson"
	"golang.org/x/net/http/httpguts"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/task"
)

// DefaultMaxBody is the largest body in bytes of a request that makes calls.
const DefaultMaxBody = 32 << 20

// errNotUTF8 refuses a body that nobody could pass on as JSON.
var errNotUTF8 = openai.InvalidRequest("", "", "The body of the request is not valid UTF-8.")

// readBody reads the body of a request that makes calls.
func (a *API) readBody(c *gin.Context) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, a.maxBody))
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(body) {
		return nil, errNotUTF8
	}
	return body, nil
}

// lines are the media types of bodies with a task on each line.
var lines = map[string]bool{"application/x-ndjson": true, "application/jsonl": true, "application/x-jsonlines": true}

// taskObjects cuts a body into the tasks that it asks for. many says whether it
// is a list, be it of one.
func taskObjects(contentType string, body []byte) (objects []json.RawMessage, many bool, err error) {
	media, _, _ := mime.ParseMediaType(contentType)
	trimmed := bytes.TrimSpace(body)
	switch {
	case lines[media]:
		if objects, err = decodeLines(body); err != nil {
			return nil, true, err
		}
		many = true
	case len(trimmed) > 0 && trimmed[0] == '[':
		if json.Unmarshal(trimmed, &objects) != nil {
			return nil, true, errNotJSON("expected one JSON object or an array of them")
		}
		many = true
	default:
		objects = []json.RawMessage{trimmed}
		if bytes.IndexByte(trimmed, '\n') < 0 {
			break
		}
		// Whoever sends a file of tasks may not say what it is.
		if several, err := decodeLines(trimmed); err == nil && len(several) > 1 {
			objects, many = several, true
		}
	}
	if many && (len(objects) == 0 || len(objects) > task.MaxGroup) {
		return nil, true, openai.InvalidRequest("", openai.CodeInvalidValue,
			"Expected a list of 1 to %d tasks, but got %d.", task.MaxGroup, len(objects))
	}
	return objects, many, nil
}

// decodeLines reads a task from each line, or wherever the one before ends.
func decodeLines(body []byte) (objects []json.RawMessage, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	for {
		var object json.RawMessage
		switch err := d.Decode(&object); {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, errNotJSON(fmt.Sprintf("line %d is not a JSON object", len(objects)+1))
		}
		objects = append(objects, object)
	}
}

func errNotJSON(what string) *openai.Error {
	return openai.InvalidRequest("", "", "We could not parse the JSON body of your request: %s.", what)
}

// parseTasks reads the tasks that a request asks for.
func (a *API) parseTasks(contentType string, body []byte) (specs []task.Spec, many bool, err error) {
	objects, many, err := taskObjects(contentType, body)
	if err != nil {
		return nil, many, err
	}
	specs = make([]task.Spec, len(objects))
	for i, object := range objects {
		p := &params{}
		if many {
			p.path = fmt.Sprintf("[%d].", i)
		}
		if json.Unmarshal(object, &p.fields) != nil || p.fields == nil {
			return nil, many, errNotJSON("expected a JSON object for each task")
		}
		if specs[i], err = a.taskSpec(p); err != nil {
			return nil, many, err
		}
	}
	return specs, many, nil
}

// taskSpec reads one task.
func (a *API) taskSpec(p *params) (task.Spec, error) {
	s := task.Spec{URL: p.required("url")}
	body := p.take("body")
	switch {
	case openai.Endpoint(s.URL).Valid():
		a.providerBody(p, &s, body)
	default:
		a.httpCall(p, &s, body)
	}
	own := p.object("headrace")
	s.Options = a.taskOptions(p, own)
	return s, p.done(own)
}

// providerBody reads the body of a call to the provider.
func (a *API) providerBody(p *params, s *task.Spec, body json.RawMessage) {
	switch {
	case body == nil:
		p.fail(openai.MissingParameter(p.path + "body"))
	case body[0] != '{':
		p.fail(openai.InvalidType(p.path+"body", openai.KindObject, body))
	case streams(body):
		p.fail(openai.InvalidRequest(p.path+"body.stream", "streaming_unsupported",
			"A task's answer is not streamed. Post the body to %s itself to stream it.", s.URL))
	}
	s.Body = string(body)
}

// streams reports whether a body asks for a stream.
func streams(body []byte) bool { return gjson.GetBytes(body, "stream").Type == gjson.True }

// Bounds of HTTP tasks.
const (
	longestURL  = 8 << 10
	mostHeaders = 64
)

// httpMethods are those of HTTP tasks.
var httpMethods = []string{
	http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead,
}

// httpCall reads the call of an HTTP task.
func (a *API) httpCall(p *params, s *task.Spec, body json.RawMessage) {
	_, isURL := task.HTTPURL(s.URL)
	switch {
	case !isURL || len(s.URL) > longestURL:
		p.fail(oneOf(p.path+"url", openai.Endpoint(s.URL), openai.Endpoints()))
	case a.httpTasks == nil || a.httpTasks.Off():
		p.fail(openai.InvalidRequest(p.path+"url", "http_tasks_off",
			"HTTP tasks are off: the operator allows no hosts (HEADRACE_ALLOWED_HOSTS)."))
	default:
		if err := a.httpTasks.CheckURL(s.URL); err != nil {
			p.fail(openai.InvalidRequest(p.path+"url", task.CodeForbidden, "The URL may not be called: %s.", err))
		}
	}
	if s.Method = strings.ToUpper(p.text("method")); s.Method == "" {
		s.Method = http.MethodPost
	}
	if err := oneOf(p.path+"method", s.Method, httpMethods); err != nil {
		p.fail(err)
	}
	p.into("headers", openai.KindObject, &s.Headers)
	for name, value := range s.Headers {
		if len(s.Headers) > mostHeaders || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			p.fail(openai.InvalidRequest(p.path+"headers", openai.CodeInvalidValue,
				"Invalid 'headers': expected at most %d names and values that HTTP allows.", mostHeaders))
		}
	}
	// A string is sent as it is, anything else as JSON.
	var text string
	if body != nil && json.Unmarshal(body, &text) != nil {
		text = string(body)
		if s.Headers == nil {
			s.Headers = map[string]string{}
		}
		if _, told := s.Headers["Content-Type"]; !told {
			s.Headers["Content-Type"] = "application/json"
		}
	}
	s.Body = text
}

// taskOptions reads what may stand beside a call or in its "headrace" object,
// but not in both.
func (a *API) taskOptions(p, own *params) task.Options {
	from := func(name string) *params {
		_, here := p.fields[name]
		_, inside := own.fields[name]
		if here && inside {
			p.fail(openai.InvalidRequest(own.path+name, openai.CodeInvalidValue,
				"'%s' and '%s' exclude each other.", p.path+name, own.path+name))
		}
		if inside {
			return own
		}
		return p
	}
	o := task.Options{
		Queue:       from(fieldQueue).name(fieldQueue),
		Priority:    from(fieldPriority).priority(fieldPriority, batch.PriorityInteractive),
		MaxAttempts: int(from("max_attempts").integer("max_attempts", 1, batch.MaxAttemptsLimit, 0)),
		Timeout:     from("timeout").duration("timeout", batch.TimeoutLimit, 0),
		NotBefore:   from("not_before").moment("not_before", task.LatestStart),
		Deadline:    from("deadline").moment("deadline", task.LatestDeadline),
		Webhook:     a.webhook(from("webhook")),
		Metadata:    from("metadata").metadata("metadata"),
		Coalesce:    from("coalesce").flag("coalesce"),
		Cache:       from("cache").duration("cache", task.CacheLimit, 0),
		Fallback:    from("fallback").fallback("fallback"),
	}
	if now := task.Now(); o.NotBefore <= now { // it may run at once
		o.NotBefore = 0
	}
	if o.Deadline != 0 && (o.Deadline <= task.Now() || o.Deadline <= o.NotBefore) {
		e := openai.InvalidRequest(from("deadline").path+"deadline", openai.CodeInvalidValue,
			"Invalid value for 'deadline': it has passed, or comes before 'not_before'.")
		e.Status = http.StatusUnprocessableEntity
		p.fail(e)
	}
	return o
}

// longestName bounds the names of queues.
const longestName = 64

// name reads the name of a queue, "" if absent.
func (p *params) name(field string) string {
	s := p.text(field)
	if s != "" && !validName(s) {
		p.fail(openai.InvalidRequest(p.path+field, openai.CodeInvalidValue, "Invalid value for '%s': %s.", p.path+field, expectedName))
	}
	return s
}

// expectedName says what validName takes.
var expectedName = fmt.Sprintf("expected at most %d letters, digits, '.', '_' and '-'", longestName)

// validName reports whether a queue may have a name: letters, digits, '.', '_'
// and '-'.
func validName(s string) bool {
	ok := s != "" && len(s) <= longestName
	for i := range len(s) {
		c := s[i]
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._-", c) >= 0)
	}
	return ok
}

// moment reads a time, 0 if absent: a duration from now, unix seconds, or
// RFC 3339.
func (p *params) moment(field string, latest time.Duration) task.Millis {
	raw := p.take(field)
	if raw == nil {
		return 0
	}
	at, ok := parseMoment(raw, time.Now())
	if !ok || at.After(time.Now().Add(latest)) {
		p.fail(openai.InvalidRequest(p.path+field, openai.CodeInvalidValue,
			"Invalid value for '%s': expected a duration such as '90s', unix seconds or a time such as '2026-11-21T18:00:00Z', "+
				"at most %d days from now.", p.path+field, int(latest.Hours()/24)))
		return 0
	}
	return max(task.MillisOf(at), 1)
}

func parseMoment(raw []byte, now time.Time) (time.Time, bool) {
	if raw[0] != '"' {
		seconds, err := strconv.ParseFloat(string(raw), 64)
		const last = 1 << 40
		return time.UnixMilli(int64(min(max(seconds, 0), last) * 1000)), err == nil && seconds >= 0 && seconds < last
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return now, false
	}
	if d, err := batch.ParseDuration(s); err == nil {
		return now.Add(d), true
	}
	at, err := time.Parse(time.RFC3339, s)
	return at, err == nil
}
