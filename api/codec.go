package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
	"go.temporal.io/api/common/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/headrace/headrace/internal/codec"
	"github.com/headrace/headrace/internal/openai"
)

// PathCodec starts the paths of Temporal's codec protocol, by which its Web UI and
// its CLI have payloads opened: see docs/privacy.md.
const PathCodec = "/codec"

// Headers of CORS, which tells browsers what pages of other origins may ask.
const (
	headerOrigin       = "Origin"
	headerAllowOrigin  = "Access-Control-Allow-Origin"
	headerAllowMethods = "Access-Control-Allow-Methods"
	headerAllowHeaders = "Access-Control-Allow-Headers"
	headerMaxAge       = "Access-Control-Max-Age"
	headerVary         = "Vary"
)

// What pages may send: the Web UI names the namespace, and can pass a token on.
const (
	codecHeaders = "Authorization, Authorization-Extras, Content-Type, X-Namespace"
	codecMaxAge  = "600" // seconds
)

// codecRoutes are those of the codec, if anything is sealed.
func (a *API) codecRoutes(e *gin.Engine, guard func(handler) gin.HandlerFunc) {
	if a.sealing == nil {
		return
	}
	c := codec.New(a.sealing)
	e.POST(PathCodec+"/decode", guard(a.codec(c.Decode)))
	e.POST(PathCodec+"/encode", guard(a.codec(c.Encode)))
}

// codec answers with payloads that are sealed or opened. It is for whoever may
// see everything: payloads are of all projects.
func (a *API) codec(change func([]*common.Payload) ([]*common.Payload, error)) handler {
	return func(c *gin.Context) error {
		body, err := a.readBody(c)
		if err != nil {
			return err
		}
		var all common.Payloads
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, &all); err != nil {
			return openai.InvalidRequest("", "",
				"The body is not what Temporal's codec protocol has: expected {\"payloads\": [{\"metadata\": {…}, \"data\": \"…\"}]}.")
		}
		changed, err := change(all.GetPayloads())
		if err != nil { // a key that is not known is named, and nothing else
			return openai.InvalidRequest("payloads", openai.CodeInvalidValue, "Cannot %s.", err)
		}
		answer, err := protojson.Marshal(&common.Payloads{Payloads: changed})
		if err != nil {
			return err
		}
		c.Header(headerCacheControl, "no-store")
		c.Data(http.StatusOK, jsonType, answer)
		return nil
	}
}

// letPages lets pages of the given origins use the codec, and leaves everything
// else to guarded, which refuses pages of other sites.
func letPages(origins []string, guarded, open http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, PathCodec+"/") {
			guarded.ServeHTTP(w, r)
			return
		}
		h, origin := w.Header(), r.Header.Get(headerOrigin)
		h.Add(headerVary, headerOrigin)
		if !slices.Contains(origins, origin) {
			guarded.ServeHTTP(w, r)
			return
		}
		h.Set(headerAllowOrigin, origin)
		if r.Method != http.MethodOptions {
			open.ServeHTTP(w, r)
			return
		}
		h.Set(headerAllowMethods, http.MethodPost)
		h.Set(headerAllowHeaders, codecHeaders)
		h.Set(headerMaxAge, codecMaxAge)
		w.WriteHeader(http.StatusNoContent)
	})
}
