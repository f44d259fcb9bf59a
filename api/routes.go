package api

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/headrace/headrace/internal/apikey"
	"github.com/headrace/headrace/internal/health"
	"github.com/headrace/headrace/internal/openai"
)

// routes is every route there is, and what a key must allow to use it. Only what
// comes of "open" can be had without a key.
func (a *API) routes(e *gin.Engine) {
	e.Use(a.observe, a.recover)
	e.NoRoute(a.handle(noRoute))
	e.NoMethod(a.handle(noMethod))

	open, submit, read := a.handle, a.needs(apikey.Submit), a.needs(apikey.Read)
	operate, admin := a.needs(apikey.Operate), a.needs(apikey.Admin)
	submitAndRead, submitOrRead := a.needs(apikey.Submit, apikey.Read), a.needsAny(apikey.Submit, apikey.Read)

	e.GET(health.PathLive, open(alive))
	e.GET(health.PathReady, open(a.readyz))
	e.GET(health.PathMetrics, operate(a.showMetrics))

	a.codecRoutes(e, admin)

	v1 := e.Group("/v1")
	v1.POST("/files", submit(a.createFile))
	v1.GET("/files", read(a.listFiles))
	v1.GET("/files/:id", read(a.getFile))
	v1.DELETE("/files/:id", submit(a.deleteFile))
	v1.GET("/files/:id/content", read(a.fileContent))
	v1.HEAD("/files/:id/content", read(a.fileContent))

	v1.POST("/batches", submit(a.createBatch))
	v1.GET("/batches", read(a.listBatches))
	v1.GET("/batches/:id", read(a.getBatch))
	v1.DELETE("/batches/:id", submit(a.deleteBatch))
	v1.PATCH("/batches/:id", operate(a.changeBatch))
	v1.POST("/batches/:id/cancel", submit(a.cancelBatch))
	v1.POST("/batches/:id/pause", operate(a.pauseBatch))
	v1.POST("/batches/:id/resume", operate(a.resumeBatch))
	v1.POST("/batches/:id/retry", operate(a.retryBatch))
	v1.GET("/batches/:id/results", read(a.batchResults))
	v1.GET("/batches/:id/events", read(a.batchEvents))

	v1.GET("/webhooks/deliveries", read(a.listDeliveries))
	v1.GET("/webhooks/deliveries/:id", read(a.getDelivery))
	v1.POST("/webhooks/deliveries/:id/redeliver", operate(a.redeliver))

	for _, endpoint := range openai.Endpoints() {
		if endpoint != openai.Responses {
			v1.POST(strings.TrimPrefix(string(endpoint), "/v1"), submit(a.pass(endpoint)))
		}
	}

	v1.POST("/responses", submit(a.createResponse))
	v1.GET("/responses/:id", read(a.getResponse))
	v1.DELETE("/responses/:id", submit(a.deleteResponse))
	v1.POST("/responses/:id/cancel", submitAndRead(a.cancelResponse)) // one that has ended is answered whole

	a.taskRoutes(v1.Group("/tasks"), submit, read)

	v1.GET("/queues", operate(a.listQueues))
	v1.GET("/queues/:name", operate(a.getQueue))
	v1.PUT("/queues/:name", admin(a.putQueue))
	v1.PATCH("/queues/:name", admin(a.patchQueue))

	v1.GET("/models", submitOrRead(a.listModels))
	v1.GET("/models/*name", submitOrRead(a.getModel))
}

// taskRoutes are those of tasks.
func (a *API) taskRoutes(tasks *gin.RouterGroup, submit, read func(handler) gin.HandlerFunc) {
	tasks.POST("", submit(a.createTasks))
	tasks.GET("", read(a.listTasks))
	tasks.GET("/:id", read(a.getTask))
	tasks.DELETE("/:id", submit(a.deleteTask))
	tasks.POST("/:id/cancel", submit(a.cancelTask))
	tasks.GET("/:id/events", read(a.taskEvents))
}

// handle makes a Gin handler of one that returns its error.
func (a *API) handle(h handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := h(c); err != nil {
			a.fail(c, err)
		}
	}
}

func alive(c *gin.Context) error {
	c.String(http.StatusOK, "ok\n")
	return nil
}

func (a *API) readyz(c *gin.Context) error {
	if err := a.Ready(c.Request.Context()); err != nil {
		return &openai.Error{
			Status: http.StatusServiceUnavailable, Type: openai.TypeUnavailable, Message: "Not ready: " + err.Error(),
		}
	}
	return alive(c)
}

func (a *API) showMetrics(c *gin.Context) error {
	if a.metrics == nil {
		return noRoute(c)
	}
	a.metrics.ServeHTTP(c.Writer, c.Request)
	return nil
}

func noRoute(c *gin.Context) error {
	return openai.NotFound("", "Invalid URL (%s %s)", c.Request.Method, c.Request.URL.Path)
}

func noMethod(c *gin.Context) error {
	e := openai.InvalidRequest("", "", "Not allowed to %s on %s.", c.Request.Method, c.Request.URL.Path)
	e.Status = http.StatusMethodNotAllowed
	return e
}
