package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/task"
)

// Headers of calls that become tasks.
const (
	headerTask = "X-Headrace-Task"
	// headerPrefer and what follows are RFC 7240's.
	headerPrefer  = "Prefer"
	headerApplied = "Preference-Applied"
	respondAsync  = "respond-async"
)

// pass makes a task of a call that an ordinary SDK sends, and answers as the
// provider does once it has. If the client hangs up, the task goes on.
func (a *API) pass(endpoint openai.Endpoint) func(*gin.Context) error {
	return func(c *gin.Context) error {
		body, err := a.readBody(c)
		if err != nil {
			return err
		}
		spec, err := a.passSpec(endpoint, body)
		if err != nil {
			return err
		}
		return a.passOn(c, body, spec)
	}
}

// passSpec is the task that a body for an endpoint asks for.
func (a *API) passSpec(endpoint openai.Endpoint, body []byte) (task.Spec, error) {
	spec := task.Spec{URL: string(endpoint), Stream: streams(body)}
	rest, own, err := cutOwn(body)
	if err != nil {
		return spec, err
	}
	p, err := ownParams(own)
	if err != nil {
		return spec, err
	}
	spec.Body = string(rest)
	spec.Options = a.taskOptions(p, &params{})
	if spec.Stream && (spec.Coalesce || spec.Cache > 0) {
		p.fail(openai.InvalidRequest(p.path+"coalesce", openai.CodeInvalidValue,
			"'stream' excludes '%[1]scoalesce' and '%[1]scache': an answer that is streamed is not shared.", p.path))
	}
	return spec, p.done()
}

// passOn accepts the task of a call and answers with its result.
func (a *API) passOn(c *gin.Context, body []byte, spec task.Spec) error {
	async := prefersAsync(c.Request.Header)
	if async && spec.Stream {
		return openai.InvalidRequest("stream", openai.CodeInvalidValue,
			"'stream' and 'Prefer: respond-async' exclude each other: nobody would be there to take the events.")
	}
	objects, err := a.accept(c, body, []task.Spec{spec}, false)
	if err != nil {
		return err
	}
	o := objects[0]
	c.Header(headerTask, o.ID)
	if async {
		c.Header("Location", "/v1/tasks/"+o.ID)
		c.Header(headerApplied, respondAsync)
		return writeTask(c, http.StatusAccepted, o)
	}
	id, _ := task.ParseID(task.Prefix, o.ID)
	if spec.Stream {
		return a.passStream(c, id, o)
	}
	return a.passAnswer(c, id, o)
}

// passAnswer waits for the end of a task and answers with its result.
func (a *API) passAnswer(c *gin.Context, id task.ID, o task.Object) error {
	ctx, err := c.Request.Context(), error(nil)
	if !o.Status.Final() {
		o, err = a.await(ctx, project(c), id)
	}
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case !o.Status.Final(): // the server stops; the task goes on
		return errUnavailable
	}
	return writeAnswer(c, o)
}

// prefersAsync reports whether a client wants no answer but the task.
func prefersAsync(h http.Header) bool {
	return slices.ContainsFunc(h.Values(headerPrefer), func(value string) bool {
		return slices.ContainsFunc(strings.Split(value, ","), func(preference string) bool {
			return strings.EqualFold(strings.TrimSpace(preference), respondAsync)
		})
	})
}

// passedHeaders are those of the provider's answer that clients get too.
func passedHeaders(name string) bool {
	return name != "location" && name != "x-request-id" // ours names the request to us
}

// writeAnswer answers as the provider did. Whoever gets an error has had all the
// attempts that there are, and is told not to make more.
func writeAnswer(c *gin.Context, o task.Object) error {
	if o.Status != task.Completed {
		c.Header("X-Should-Retry", "false")
	}
	if o.Result == nil {
		return unanswered(o)
	}
	contentType := jsonType
	for name, value := range o.Result.Headers {
		switch {
		case name == "content-type":
			contentType = value
		case passedHeaders(name):
			c.Header(name, value)
		}
	}
	c.Data(o.Result.StatusCode, contentType, o.Result.Body)
	return nil
}

// unanswered is the error of a task to which no provider has answered.
func unanswered(o task.Object) *openai.Error {
	e := &openai.Error{
		Status: http.StatusBadGateway, Type: openai.TypeServer, Message: "The provider did not answer.", NoRetry: true,
	}
	if o.Error == nil {
		return e
	}
	e.Message, e.Code = o.Error.Message, &o.Error.Code
	switch {
	case o.Error.Code == task.CodeDeadline:
		e.Status = http.StatusGatewayTimeout
	case o.Status == task.Cancelled:
		e.Status = http.StatusConflict
	}
	return e
}
