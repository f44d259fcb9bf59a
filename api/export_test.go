package api

import (
	"github.com/gin-gonic/gin"

	"github.com/headrace/headrace/internal/task"
)

// What tests call of the insides.
var (
	CutOwn     = cutOwn
	CutMembers = cutMembers
	WithMember = withMember
)

// ParseTasks lets tests call parseTasks.
func (a *API) ParseTasks(contentType string, body []byte) ([]task.Spec, bool, error) {
	return a.parseTasks(contentType, body)
}

// Routes lets tests see every route.
func (a *API) Routes() gin.RoutesInfo { return a.engine.Routes() }
