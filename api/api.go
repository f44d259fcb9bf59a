package api

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"sync"

	"github.com/gin-gonic/gin"
	"go.temporal.io/sdk/client"

	"github.com/headrace/headrace/internal/apikey"
	"github.com/headrace/headrace/internal/codec"
	"github.com/headrace/headrace/internal/groupcommit"
	"github.com/headrace/headrace/internal/health"
	"github.com/headrace/headrace/internal/live"
	"github.com/headrace/headrace/internal/seal"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/streamlog"
	"github.com/headrace/headrace/internal/task"
	"github.com/headrace/headrace/workflows"
)

// Options is what an API needs.
type Options struct {
	Temporal client.Client
	// Namespace is that of Temporal; "" is the default one.
	Namespace string
	Store     *store.Store
	Logger    *slog.Logger
	// Keys are those that requests must show; nil lets everybody do everything,
	// as the default project.
	Keys *apikey.Ring
	// Sealing has the keys that what Temporal keeps is sealed with; nil if it is
	// not.
	Sealing *seal.Keys
	// CodecOrigins are those whose pages, Temporal's Web UI among them, may have
	// payloads opened.
	CodecOrigins []string
	// Hub tells of tasks that Runner runs in this process; both are nil if none
	// run here.
	Hub    *live.Hub
	Runner Runner
	// Logs are those to which Runner writes streams; nil for those of other
	// processes.
	Logs *streamlog.Logs
	// HTTPTasks says which URLs HTTP tasks may call; nil allows none.
	HTTPTasks URLRules
	// MaxBody bounds the bodies of requests that make calls, in bytes; 0 is
	// DefaultMaxBody.
	MaxBody  int64
	Models   ModelLister // nil if this process knows no provider
	Webhooks Webhooks
	// Health answers /readyz; nil for that of Temporal and the store.
	Health *health.Health
	// Metrics answers /metrics; nil for none.
	Metrics http.Handler
	// Observers are told of requests, and Accepted of how many batches or tasks
	// have become durable; nil for nobody.
	Observers []Observer
	Accepted  func(what Accepted, n int)
	// Tracer makes tasks part of the traces of their requests; nil for no traces.
	Tracer Tracer
}

// Runner is a short cut to the tasks that run in this process, see
// runner.Runner.
type Runner interface {
	// Get returns a task as it is, false if it is not under way here.
	Get(project string, id task.ID) (task.Object, bool)
	// Spec returns a task as it was asked for, false if it is not under way here.
	Spec(project string, id task.ID) (task.Spec, bool)
	// Cancel cuts a task off if it is under way here.
	Cancel(project string, id task.ID)
}

// URLRules says which URLs may be called, see egress.Guard.
type URLRules interface {
	Off() bool
	CheckURL(url string) error
}

// API answers HTTP requests.
type API struct {
	temporal  client.Client
	namespace string
	payloads  payloads
	sealing   *seal.Keys // nil if what Temporal keeps is not sealed
	store     *store.Store
	logger    *slog.Logger
	models    ModelLister
	webhooks  Webhooks
	engine    *gin.Engine
	handler   http.Handler
	watches   *watches
	health    *health.Health
	metrics   http.Handler // nil for none

	observers    []Observer
	tellAccepted func(Accepted, int)
	tracer       Tracer

	keys      *apikey.Ring // nil if nobody has to show any
	throttle  *apikey.Throttle
	strangers *strangers

	hub        *live.Hub
	runner     Runner // nil if no task runs in this process
	logs       *streamlog.Logs
	httpTasks  URLRules
	maxBody    int64
	committers *committers
	recent     recent

	stop     func()
	stopping <-chan struct{} // closed when requests that wait should end
}

// New returns an API that is ready to serve.
func New(o Options) *API {
	stopping := make(chan struct{})
	a := &API{
		temporal: o.Temporal, namespace: cmp.Or(o.Namespace, client.DefaultNamespace), payloads: payloads{codec.Converter(o.Sealing)}, sealing: o.Sealing, store: o.Store, logger: o.Logger, models: o.Models, webhooks: o.Webhooks.orDefault(),
		stop: sync.OnceFunc(func() { close(stopping) }), stopping: stopping,
	}
	a.hub, a.runner, a.httpTasks, a.maxBody = o.Hub, o.Runner, o.HTTPTasks, cmp.Or(o.MaxBody, DefaultMaxBody)
	a.keys, a.throttle, a.strangers = o.Keys, apikey.NewThrottle(), newStrangers()
	a.observers, a.tellAccepted, a.tracer = o.Observers, o.Accepted, o.Tracer
	a.metrics = o.Metrics
	if a.health = o.Health; a.health == nil {
		a.health = health.New(Checks(o.Temporal, o.Store)...)
	}
	if a.logs = o.Logs; a.logs == nil {
		a.logs = streamlog.New(o.Store)
	}
	if a.hub == nil {
		a.hub = live.NewHub()
	}
	a.committers = &committers{start: a.startGroup, resume: a.resume, all: map[string]*groupcommit.Committer[*submission]{}}
	a.watches = &watches{view: a.view, all: map[workflows.Run]*watch{}}
	gin.SetMode(gin.ReleaseMode) // Gin has no other switch for its console output
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.UseRawPath, engine.RedirectTrailingSlash = true, false
	a.routes(engine)
	a.engine, a.handler = engine, identify(letPages(o.CodecOrigins, refuseForeignPages(engine), engine))
	return a
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.handler.ServeHTTP(w, r) }

// Stop ends the requests that wait for something to happen, so that a server can
// shut down without waiting for them; their clients come again. Stop may be
// called more than once.
func (a *API) Stop() { a.stop() }

// refuseForeignPages keeps pages of other sites, open in the browser of
// somebody who runs headrace, from posting to it.
func refuseForeignPages(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, errForeignPage)
	}))
	return protection.Handler(next)
}

// Ready reports whether the API can do its work, and names the parts that cannot.
// It returns within health.Timeout.
func (a *API) Ready(ctx context.Context) error { return health.Error(a.health.Ready(ctx)) }
