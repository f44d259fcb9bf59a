package api

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"
	"go.temporal.io/sdk/client"

	"github.com/headrace/headrace/internal/health"
	"github.com/headrace/headrace/internal/logs"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/task"
)

// Observer is told of requests, by many goroutines at once, and must not wait.
type Observer interface {
	// Begin is told of a request for a route, as the route table spells it ("" for
	// none). It returns the request that goes on, whose context may be another, and
	// what is told of the status in the end: for an event stream that is when the
	// stream ends.
	Begin(r *http.Request, route string) (_ *http.Request, end func(status int))
}

// Accepted is what a request has made durable.
type Accepted string

// What is accepted.
const (
	AcceptedBatch Accepted = "batch"
	AcceptedTask  Accepted = "task"
)

// observe has observers told of a request.
func (a *API) observe(c *gin.Context) {
	route := c.FullPath()
	ends := make([]func(int), len(a.observers))
	for i, o := range a.observers {
		c.Request, ends[i] = o.Begin(c.Request, route)
	}
	defer func() { // also of a handler that cuts the connection
		status := c.Writer.Status()
		for _, end := range ends {
			end(status)
		}
		a.logger.DebugContext(c.Request.Context(), "request answered", logs.KeyMethod, c.Request.Method, logs.KeyRoute, route,
			logs.KeyStatus, status, keyRequestID, c.Writer.Header().Get(headerRequestID))
	}()
	c.Next()
}

// accepted tells of what has become durable.
func (a *API) accepted(what Accepted, n int) {
	if a.tellAccepted != nil {
		a.tellAccepted(what, n)
	}
}

// Tracer takes traces to where no context goes.
type Tracer interface {
	// Parent is the span of a context as the header traceparent has it, "" if nobody
	// keeps it.
	Parent(ctx context.Context) string
	// Resume returns a context with that span.
	Resume(ctx context.Context, parent string) context.Context
}

// trace makes tasks part of the trace of a request.
func (a *API) trace(ctx context.Context, specs []task.Spec) {
	if a.tracer == nil {
		return
	}
	if parent := a.tracer.Parent(ctx); parent != "" {
		for i := range specs {
			specs[i].Trace = parent
		}
	}
}

// resume makes a group part of the trace of the first of its tasks that has one:
// a workflow has one parent.
func (a *API) resume(ctx context.Context, specs []task.Spec) context.Context {
	for i := range specs {
		if a.tracer != nil && specs[i].Trace != "" {
			return a.tracer.Resume(ctx, specs[i].Trace)
		}
	}
	return ctx
}

// Checks are those of what an API, and a worker too, cannot do without: Temporal
// answers, and the store can be read.
func Checks(temporal client.Client, s *store.Store) []health.Check {
	return []health.Check{
		{Name: "temporal", Ready: func(ctx context.Context) error {
			_, err := temporal.CheckHealth(ctx, nil)
			return err
		}},
		{Name: "store", Ready: s.Ready},
	}
}
