package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"
	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/task"
)

// Members of requests for responses that say how to answer.
const (
	memberBackground = "background"
	memberStore      = "store"
)

// createResponse makes a task of a call of /v1/responses. In the background it
// answers at once, with the response as it stands or with the stream of what
// becomes of it; otherwise it passes the provider's answer on.
func (a *API) createResponse(c *gin.Context) error {
	body, err := a.readBody(c)
	if err != nil {
		return err
	}
	spec, err := a.responseSpec(body)
	if err != nil {
		return err
	}
	if !spec.Response {
		return a.passOn(c, body, spec)
	}
	objects, err := a.accept(c, body, []task.Spec{spec}, false)
	if err != nil {
		return err
	}
	id, _ := task.ParseID(task.Prefix, objects[0].ID)
	c.Header(headerTask, objects[0].ID)
	r := &response{project: project(c), id: id, task: objects[0], request: []byte(spec.Body)}
	if spec.Stream {
		return a.streamResponse(c, r, -1)
	}
	return a.writeResponse(c, r)
}

// responseSpec is the task that a request for a response asks for.
func (a *API) responseSpec(body []byte) (task.Spec, error) {
	spec, err := a.passSpec(openai.Responses, body)
	if err != nil || gjson.GetBytes(body, memberBackground).Type != gjson.True {
		return spec, err
	}
	if gjson.GetBytes(body, memberStore).Type == gjson.False {
		return spec, openai.InvalidRequest(memberStore, openai.CodeInvalidValue,
			"Invalid value for 'store': a response in the background is stored, so 'store' cannot be false with 'background'.")
	}
	// The provider is to answer in the call that is made to it.
	rest, _, _ := cutMembers([]byte(spec.Body), memberBackground)
	spec.Body, spec.Response = string(rest), true
	return spec, nil
}

// getResponse answers with a response as it stands, or with its stream.
func (a *API) getResponse(c *gin.Context) error {
	r, err := a.findResponse(c)
	if err != nil {
		return err
	}
	streamed, err := wantsStream(c)
	if err != nil {
		return err
	}
	if !streamed {
		return a.writeResponse(c, r)
	}
	after := -1
	if s, asked := c.GetQuery("starting_after"); asked {
		if after, err = strconv.Atoi(s); err != nil || after < 0 {
			return openai.InvalidRequest("starting_after", openai.CodeInvalidValue,
				"Invalid value for 'starting_after': expected the sequence number of an event, but got '%s'.", s)
		}
	}
	if !r.task.Stream {
		return openai.InvalidRequest("stream", openai.CodeInvalidValue,
			"The response with id '%s' cannot be streamed: it was not created with 'stream' set to true.", c.Param("id"))
	}
	return a.streamResponse(c, r, after)
}

// wantsStream reports whether a GET asks for a stream. It does so in its query,
// or in a body: that is where the official SDK for Go puts it.
func wantsStream(c *gin.Context) (bool, error) {
	if c.Query("stream") == "true" {
		return true, nil
	}
	body, err := readBody(c)
	return err == nil && streams(body), err
}

// cancelResponse cancels a response. One that has ended stays as it is.
func (a *API) cancelResponse(c *gin.Context) error {
	r, err := a.findResponse(c)
	if err != nil {
		return err
	}
	if r.task, err = a.cancelled(c.Request.Context(), r.project, r.id); err != nil {
		return knownResponse(err, c.Param("id"))
	}
	return a.writeResponse(c, r)
}

// objectResponse is the "object" of a response.
const objectResponse = "response"

// deleteResponse makes a response unknown. One that is under way is cancelled
// first: nobody would read what it costs.
func (a *API) deleteResponse(c *gin.Context) error {
	r, err := a.findResponse(c)
	if err != nil {
		return err
	}
	ctx := c.Request.Context()
	if _, err := a.cancelled(ctx, r.project, r.id); err != nil {
		return knownResponse(err, c.Param("id"))
	}
	if err := a.erase(ctx, r.project, r.id); err != nil {
		return err
	}
	c.JSON(http.StatusOK, openai.Deleted{ID: c.Param("id"), Object: objectResponse, Deleted: true})
	return nil
}

// response is a background response: a task that its clients know by another
// name and in another form.
type response struct {
	project string
	id      task.ID
	task    task.Object
	request []byte // what it was asked for with; nil until somebody wants to know
}

// findResponse returns the response that the path names.
func (a *API) findResponse(c *gin.Context) (*response, error) {
	name := c.Param("id")
	id, ok := task.ParseID(task.PrefixResponse, name)
	if !ok {
		return nil, knownResponse(store.ErrNotFound, name)
	}
	o, err := a.task(c.Request.Context(), project(c), id)
	if err == nil && o.ResponseID == "" {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, knownResponse(err, name)
	}
	return &response{project: project(c), id: id, task: o}, nil
}

// knownResponse makes a 404 of store.ErrNotFound.
func knownResponse(err error, id string) error {
	if errors.Is(err, store.ErrNotFound) {
		return openai.NotFound("", "Response with id '%s' not found.", id)
	}
	return err
}

// writeResponse answers with a response as it stands.
func (a *API) writeResponse(c *gin.Context, r *response) error {
	body, err := a.render(c.Request.Context(), r)
	if err != nil {
		return err
	}
	c.Data(http.StatusOK, jsonType, body)
	return nil
}

// render is a response as clients see it: what the provider has answered, under
// our id, or else an object that says how it stands.
func (a *API) render(ctx context.Context, r *response) ([]byte, error) {
	if r.task.Status == task.Completed && r.task.Result != nil {
		if body, ok := renamed(r.task.Result.Body, r.id.Response()); ok {
			return body, nil
		}
		r.task.Status, r.task.Error = task.Failed, errNoResponse
	}
	if err := a.findRequest(ctx, r); err != nil {
		return nil, err
	}
	return statusObject(r.task, r.request), nil
}
