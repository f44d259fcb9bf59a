package devserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/temporalio/ui-server/v2/server/api"
	"github.com/temporalio/ui-server/v2/server/config"
	"github.com/temporalio/ui-server/v2/server/cors"
	"github.com/temporalio/ui-server/v2/server/csrf"
	"github.com/temporalio/ui-server/v2/server/headers"
	"github.com/temporalio/ui-server/v2/server/route"
	"github.com/temporalio/ui-server/v2/server/rpc"
	"github.com/temporalio/ui-server/v2/ui"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
)

// callerType is the header in which the UI says that a person is asking.
const callerType = "Caller-Type"

// webUI serves Temporal's Web UI. It puts the UI's own routes together as its
// server does, but listens for itself: that server ends the process when its
// port is taken, cannot say which free port it got, and leaves its connection to
// Temporal open.
type webUI struct {
	listener net.Listener
	server   *http.Server
	conn     *grpc.ClientConn
	done     chan struct{} // closed when the server has ended
}

// listenUI takes the port, so that one in use is noticed before anything else
// starts. Browsers that connect already wait until serve.
func listenUI(ctx context.Context, port int) (*webUI, error) {
	l, err := listen(ctx, port)
	if err != nil {
		return nil, fmt.Errorf("temporal web ui: %w", err)
	}
	return &webUI{listener: l}, nil
}

func (u *webUI) url() string { return "http://" + u.listener.Addr().String() }

// serve starts to answer for the Temporal at address.
func (u *webUI) serve(address string, o Options) error {
	conn, err := rpc.Dial(address, nil)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	u.conn = conn
	handler, err := uiHandler(address, o, conn)
	if err != nil {
		return err
	}
	u.server = &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	u.done = make(chan struct{})
	go func() {
		defer close(u.done)
		if err := u.server.Serve(u.listener); !errors.Is(err, http.ErrServerClosed) {
			o.Logger.Error("temporal web ui ended", slog.Any(keyError, err))
		}
	}()
	return nil
}

// stop ends the server and its connections.
func (u *webUI) stop() {
	if u.server == nil {
		_ = u.listener.Close()
	} else {
		_ = u.server.Close()
		<-u.done
	}
	if u.conn != nil {
		_ = u.conn.Close()
	}
}

// uiConfig leaves out what would call home (news, new versions) and the actions
// on many workflows at once, which need Temporal's worker service.
func uiConfig(address string, o Options) *config.Config {
	return &config.Config{
		TemporalGRPCAddress:  address,
		EnableUI:             true,
		DefaultNamespace:     o.Namespace,
		Codec:                config.Codec{Endpoint: o.Codec},
		DisableNewsFetch:     true,
		HideLogs:             true,
		BatchActionsDisabled: true,
		CORS:                 config.CORS{CookieInsecure: true}, // plain HTTP on the loopback interface
	}
}

func uiHandler(address string, o Options, conn *grpc.ClientConn) (http.Handler, error) {
	provider, err := config.NewConfigProviderWithRefresh(uiConfig(address, o))
	if err != nil {
		return nil, fmt.Errorf("configure: %w", err)
	}
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	useMiddleware(e, provider)
	route.SetHealthRoute(e)
	setAPIRoutes(e, provider, conn)
	assets, err := ui.Assets()
	if err != nil {
		return nil, fmt.Errorf("open assets: %w", err)
	}
	if assets, err = fs.Sub(assets, "local"); err != nil {
		return nil, fmt.Errorf("open assets: %w", err)
	}
	if err := route.SetUIRoutes(e, "", assets, provider); err != nil {
		return nil, fmt.Errorf("set routes: %w", err)
	}
	route.SetRenderRoute(e, "/")
	return e, nil
}

// useMiddleware guards the API from pages of other sites, which can reach a
// server on this machine through their visitor's browser.
func useMiddleware(e *echo.Echo, provider *config.ConfigProviderWithRefresh) {
	e.Use(
		middleware.Recover(),
		middleware.Gzip(),
		cors.CORSMiddleware(cors.CORSConfig{
			AllowHeaders: []string{
				echo.HeaderOrigin, echo.HeaderContentType, echo.HeaderAccept, echo.HeaderXCSRFToken, callerType,
			},
			AllowCredentials: true,
			ConfigProvider:   provider,
		}),
		middleware.Secure(),
		csrf.EnsureTokenCookie(false),
		middleware.CSRFWithConfig(csrf.MiddlewareConfig(provider, false)),
	)
}

// setAPIRoutes leaves the route for releases out: it asks GitHub.
func setAPIRoutes(e *echo.Echo, provider *config.ConfigProviderWithRefresh, conn *grpc.ClientConn) {
	forward := []api.Middleware{headers.WithForwardHeaders([]string{callerType})}
	g := e.Group("/api/v1")
	g.GET("/settings", api.GetSettings(provider))
	g.GET("/ui-extensions", api.GetUIExtensions(provider, api.TemporalAccessCheck(conn, forward)))
	g.GET(api.WorkflowRawHistoryUrl, api.WorkflowRawHistoryHandler(workflowservice.NewWorkflowServiceClient(conn)))
	g.Match(
		[]string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
		"/*", api.TemporalAPIHandler(provider, forward, conn),
	)
}
