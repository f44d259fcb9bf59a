package api

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"

	"github.com/headrace/headrace/internal/apikey"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
)

// Headers in which keys come: the first is OpenAI's, the others are those that
// the SDKs of Azure and Anthropic send. If several are there, the first counts.
const (
	headerAuthorization = "Authorization"
	headerAzureKey      = "Api-Key"
	headerAnthropicKey  = "X-Api-Key"

	bearer = "Bearer"
	// headerAuthenticate tells clients how to show a key; RFC 9110 wants it with
	// every 401.
	headerAuthenticate = "WWW-Authenticate"
	headerRetryAfter   = "Retry-After"
	headerCacheControl = "Cache-Control"
)

// Codes of errors about API keys, as OpenAI has them.
const (
	codeWrongAPIKey  = "invalid_api_key"
	codeMissingScope = "missing_scope"
	codeTooMany      = "rate_limit_exceeded"
)

// contextIdentity is where a request's identity is in Gin's context.
const contextIdentity = "headrace.identity"

// handler is what routes lead to. Its error is answered by API.fail.
type handler = func(*gin.Context) error

// needs makes a guard that lets those pass whose key has all of some scopes.
func (a *API) needs(scopes ...apikey.Scope) func(handler) gin.HandlerFunc {
	return a.guard(func(who apikey.Identity) *openai.Error {
		lacking := slices.DeleteFunc(slices.Clone(scopes), who.May)
		if len(lacking) == 0 {
			return nil
		}
		return errMissingScope(lacking, ", ")
	})
}

// needsAny makes a guard that lets those pass whose key has any of some scopes.
func (a *API) needsAny(scopes ...apikey.Scope) func(handler) gin.HandlerFunc {
	return a.guard(func(who apikey.Identity) *openai.Error {
		if slices.ContainsFunc(scopes, who.May) {
			return nil
		}
		return errMissingScope(scopes, " or ")
	})
}

// guard makes handlers that know whose request it is, and refuse those of
// strangers and of those whom refuse refuses. Without keys everything is the
// default project's.
func (a *API) guard(refuse func(apikey.Identity) *openai.Error) func(handler) gin.HandlerFunc {
	return func(h handler) gin.HandlerFunc {
		return a.handle(func(c *gin.Context) error {
			who := apikey.Identity{Project: store.DefaultProject}
			if a.keys != nil {
				// Caches on the way must not answer one key with another's things. Those
				// that know HTTP spare what has an Authorization, but not the other headers.
				c.Header(headerCacheControl, "private")
				var err error
				if who, err = a.whoIs(c); err != nil {
					return err
				}
				if refused := refuse(who); refused != nil {
					return refused
				}
			}
			c.Set(contextIdentity, who)
			return h(c)
		})
	}
}

// project is whose files, batches and tasks a request is about. It panics for a
// request that no guard has let pass: such a one must not get at anybody's.
func project(c *gin.Context) string {
	return c.MustGet(contextIdentity).(apikey.Identity).Project
}

// whoIs finds out who has sent a request.
func (a *API) whoIs(c *gin.Context) (apikey.Identity, error) {
	key, now := presented(c.Request.Header), time.Now()
	refusal, reason, name := errNoAPIKey, reasonMissing, ""
	if key != "" {
		who, err := a.keys.Find(key, now)
		if err == nil {
			return who, nil
		}
		refusal, reason, name = errWrongAPIKey, err.Error(), who.Name
	}
	if wait := a.throttle.Fail(c.Request.RemoteAddr, now); wait > 0 {
		seconds := int(math.Ceil(wait.Seconds()))
		c.Header(headerRetryAfter, strconv.Itoa(seconds))
		refusal = errTooManyFailures(seconds)
	} else {
		c.Header(headerAuthenticate, bearer+` realm="headrace"`)
	}
	a.strangers.warn(a, c, refusal.Status, reason, name)
	return apikey.Identity{}, refusal
}

// presented is the key that a request shows, "" for none.
func presented(h http.Header) string {
	scheme, key, _ := strings.Cut(h.Get(headerAuthorization), " ")
	if key = strings.TrimSpace(key); strings.EqualFold(scheme, bearer) && key != "" {
		return key
	}
	for _, name := range []string{headerAzureKey, headerAnthropicKey} {
		if key := strings.TrimSpace(h.Get(name)); key != "" {
			return key
		}
	}
	return ""
}

// reasonMissing is what logs say of a request without a key.
const reasonMissing = "no key"

// How often requests without a valid key are logged.
const (
	warningsAtOnce = 10
	warningEvery   = 5 * time.Second
)

// strangers logs requests without a valid key, but not so often that it fills
// disks.
type strangers struct {
	limiter *rate.Limiter
	passed  atomic.Int64 // requests that were not logged since the last one that was
}

func newStrangers() *strangers {
	return &strangers{limiter: rate.NewLimiter(rate.Every(warningEvery), warningsAtOnce)}
}

// warn logs a request, never what it has shown. Name is that of the key if it is
// one that has expired.
func (s *strangers) warn(a *API, c *gin.Context, status int, reason, name string) {
	if !s.limiter.Allow() {
		s.passed.Add(1)
		return
	}
	args := []any{
		keyAddress, c.Request.RemoteAddr, keyReason, reason, keyStatus, status, keyMethod, c.Request.Method, keyPath, c.FullPath(),
		keyRequestID, c.Writer.Header().Get(headerRequestID),
	}
	if name != "" {
		args = append(args, keyName, name)
	}
	if n := s.passed.Swap(0); n > 0 {
		args = append(args, keyUnlogged, n)
	}
	a.logger.WarnContext(c.Request.Context(), "request without a valid API key", args...)
}

var (
	errNoAPIKey = unauthorized("",
		"You didn't provide an API key. Send it in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY). "+
			"Keys are made by whoever runs this service, with 'headrace key new'.")
	// errWrongAPIKey is the same for a key that never was and for one that has
	// expired, and does not repeat it.
	errWrongAPIKey = unauthorized(codeWrongAPIKey,
		"Incorrect API key provided. Keys of this service begin with '"+apikey.Prefix+
			"' and are made by whoever runs it, with 'headrace key new'.")
)

func unauthorized(code, message string) *openai.Error {
	e := openai.InvalidRequest("", code, "%s", message)
	e.Status = http.StatusUnauthorized
	return e
}

// errMissingScope refuses what the key does not allow.
func errMissingScope(lacking []apikey.Scope, between string) *openai.Error {
	names := make([]string, len(lacking))
	for i, s := range lacking {
		names[i] = string(s)
	}
	e := openai.InvalidRequest("", codeMissingScope,
		"You have insufficient permissions for this operation. Missing scopes: %s. "+
			"Use a key that has them, or have whoever runs this service add them to this key.", strings.Join(names, between))
	e.Status = http.StatusForbidden
	return e
}

// errTooManyFailures asks an address to leave it for a while. SDKs are told not
// to try again: with the same key the next try fails as this one has.
func errTooManyFailures(seconds int) *openai.Error {
	e := openai.InvalidRequest("", codeTooMany,
		"Too many requests without a valid API key have come from your address. Try again in %s, with a valid key.", plural(seconds))
	e.Status, e.NoRetry = http.StatusTooManyRequests, true
	return e
}

func plural(seconds int) string {
	if seconds == 1 {
		return "1 second"
	}
	return fmt.Sprintf("%d seconds", seconds)
}
