package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/headrace/headrace/internal/openai"
)

// ModelLister tells which models the provider has. The front makes no other
// request to a provider, and only while somebody waits for its answer.
type ModelLister interface {
	// Models returns the provider's answer as it came, whatever its status: the
	// list of all models or, when name is not empty, what it says of one. When no
	// answer came, it returns why.
	Models(ctx context.Context, name string) (ModelAnswer, error)
}

// ModelAnswer is what a provider answered.
type ModelAnswer struct {
	Status      int
	ContentType string
	Body        []byte
}

// ErrNoModelName is what a ModelLister returns for a name that no model can
// have.
var ErrNoModelName = errors.New("not the name of a model")

// modelsTimeout bounds how long the provider may take to list its models.
const modelsTimeout = 20 * time.Second

var errNoProvider = &openai.Error{
	Status: http.StatusServiceUnavailable, Type: openai.TypeUnavailable,
	Message: "No provider is configured for this process. Start it with --upstream, OPENAI_BASE_URL or OPENAI_API_KEY.",
}

func (a *API) listModels(c *gin.Context) error { return a.askForModels(c, "") }

func (a *API) getModel(c *gin.Context) error {
	name := strings.TrimPrefix(c.Param("name"), "/") // of a wildcard, which begins with its slash
	if name == "" {
		return noRoute(c)
	}
	return a.askForModels(c, name)
}

func (a *API) askForModels(c *gin.Context, name string) error {
	if a.models == nil {
		return errNoProvider
	}
	ctx, cancel := contextWithTimeout(c, modelsTimeout)
	defer cancel()
	answer, err := a.models.Models(ctx, name)
	switch {
	case errors.Is(err, ErrNoModelName):
		return openai.NotFound("model", "The model '%s' does not exist.", name)
	case c.Request.Context().Err() != nil:
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return &openai.Error{
			Status: http.StatusGatewayTimeout, Type: openai.TypeServer, Message: "The provider did not answer in time.",
		}
	case err != nil:
		a.logFailure(c, err)
		return &openai.Error{
			Status: http.StatusBadGateway, Type: openai.TypeServer, Message: "The provider cannot be reached.",
		}
	}
	c.Data(answer.Status, answer.ContentType, answer.Body)
	return nil
}
