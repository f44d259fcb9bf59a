package api

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/headrace/headrace/internal/health"
	"github.com/headrace/headrace/internal/openai"
)

// routes is every route there is.
func (a *API) routes(e *gin.Engine) {
	e.Use(a.observe, a.recover)
	e.NoRoute(a.handle(noRoute))
	e.NoMethod(a.handle(noMethod))

	e.GET(health.PathLive, a.handle(alive))
	e.GET(health.PathReady, a.handle(a.readyz))

	v1 := e.Group("/v1")
	v1.POST("/files", a.handle(a.createFile))
	v1.GET("/files", a.handle(a.listFiles))
	v1.GET("/files/:id", a.handle(a.getFile))
	v1.DELETE("/files/:id", a.handle(a.deleteFile))
	v1.GET("/files/:id/content", a.handle(a.fileContent))
	v1.HEAD("/files/:id/content", a.handle(a.fileContent))

	v1.POST("/batches", a.handle(a.createBatch))
	v1.GET("/batches", a.handle(a.listBatches))
	v1.GET("/batches/:id", a.handle(a.getBatch))
	v1.PATCH("/batches/:id", a.handle(a.changeBatch))
	v1.POST("/batches/:id/cancel", a.handle(a.cancelBatch))
	v1.POST("/batches/:id/pause", a.handle(a.pauseBatch))
	v1.POST("/batches/:id/resume", a.handle(a.resumeBatch))
	v1.POST("/batches/:id/retry", a.handle(a.retryBatch))
	v1.GET("/batches/:id/results", a.handle(a.batchResults))
	v1.GET("/batches/:id/events", a.handle(a.batchEvents))

	v1.GET("/webhooks/deliveries", a.handle(a.listDeliveries))
	v1.GET("/webhooks/deliveries/:id", a.handle(a.getDelivery))
	v1.POST("/webhooks/deliveries/:id/redeliver", a.handle(a.redeliver))

	for _, endpoint := range openai.Endpoints() {
		if endpoint != openai.Responses {
			v1.POST(strings.TrimPrefix(string(endpoint), "/v1"), a.handle(a.pass(endpoint)))
		}
	}

	v1.POST("/responses", a.handle(a.createResponse))
	v1.GET("/responses/:id", a.handle(a.getResponse))
	v1.DELETE("/responses/:id", a.handle(a.deleteResponse))
	v1.POST("/responses/:id/cancel", a.handle(a.cancelResponse))

	v1.POST("/tasks", a.handle(a.createTasks))
	v1.GET("/tasks", a.handle(a.listTasks))
	v1.GET("/tasks/:id", a.handle(a.getTask))
	v1.POST("/tasks/:id/cancel", a.handle(a.cancelTask))
	v1.GET("/tasks/:id/events", a.handle(a.taskEvents))

	v1.GET("/queues", a.handle(a.listQueues))
	v1.GET("/queues/:name", a.handle(a.getQueue))
	v1.PUT("/queues/:name", a.handle(a.putQueue))
	v1.PATCH("/queues/:name", a.handle(a.patchQueue))

	v1.GET("/models", a.handle(a.listModels))
	v1.GET("/models/*name", a.handle(a.getModel))
}

// handle makes a Gin handler of one that returns its error.
func (a *API) handle(h func(*gin.Context) error) gin.HandlerFunc {
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

func noRoute(c *gin.Context) error {
	return openai.NotFound("", "Invalid URL (%s %s)", c.Request.Method, c.Request.URL.Path)
}

func noMethod(c *gin.Context) error {
	e := openai.InvalidRequest("", "", "Not allowed to %s on %s.", c.Request.Method, c.Request.URL.Path)
	e.Status = http.StatusMethodNotAllowed
	return e
}
