package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What routes take.
const (
	anybody       = ""
	submit        = "submit"
	read          = "read"
	operate       = "operate"
	admin         = "admin"
	submitAndRead = "submit+read"
	submitOrRead  = "submit|read"
)

// rules has every route with what a key must allow to use it. Whoever adds a route
// adds it here, and to docs/security.md.
var rules = map[string]string{
	"GET /livez":  anybody,
	"GET /readyz": anybody,

	"GET /metrics": operate,

	"POST /codec/decode": admin,
	"POST /codec/encode": admin,

	"POST /v1/files":             submit,
	"GET /v1/files":              read,
	"GET /v1/files/:id":          read,
	"DELETE /v1/files/:id":       submit,
	"GET /v1/files/:id/content":  read,
	"HEAD /v1/files/:id/content": read,

	"POST /v1/batches":            submit,
	"GET /v1/batches":             read,
	"GET /v1/batches/:id":         read,
	"DELETE /v1/batches/:id":      submit,
	"PATCH /v1/batches/:id":       operate,
	"POST /v1/batches/:id/cancel": submit,
	"POST /v1/batches/:id/pause":  operate,
	"POST /v1/batches/:id/resume": operate,
	"POST /v1/batches/:id/retry":  operate,
	"GET /v1/batches/:id/results": read,
	"GET /v1/batches/:id/events":  read,

	"GET /v1/webhooks/deliveries":                read,
	"GET /v1/webhooks/deliveries/:id":            read,
	"POST /v1/webhooks/deliveries/:id/redeliver": operate,

	"POST /v1/chat/completions": submit,
	"POST /v1/completions":      submit,
	"POST /v1/embeddings":       submit,
	"POST /v1/moderations":      submit,

	"POST /v1/responses":            submit,
	"GET /v1/responses/:id":         read,
	"DELETE /v1/responses/:id":      submit,
	"POST /v1/responses/:id/cancel": submitAndRead,

	"POST /v1/tasks":            submit,
	"GET /v1/tasks":             read,
	"GET /v1/tasks/:id":         read,
	"DELETE /v1/tasks/:id":      submit,
	"POST /v1/tasks/:id/cancel": submit,
	"GET /v1/tasks/:id/events":  read,

	"GET /v1/queues":         operate,
	"GET /v1/queues/:name":   operate,
	"PUT /v1/queues/:name":   admin,
	"PATCH /v1/queues/:name": admin,

	"GET /v1/models":       submitOrRead,
	"GET /v1/models/*name": submitOrRead,
}

// may reports what a key allows by a rule.
func may(rule, key string) bool {
	switch {
	case rule == anybody, key == admin, rule == key:
		return true
	case rule == submitOrRead, rule == submit, rule == read:
		return key == keyBoth || rule == submitOrRead && (key == submit || key == read)
	default:
		return rule == submitAndRead && key == keyBoth
	}
}

func TestEveryRouteTakesTheKeysThatItIsSaidToTake(t *testing.T) {
	t.Parallel()
	b := setupKeys(t)
	routes := b.api.Routes()
	require.Len(t, routes, len(rules))
	for _, route := range routes {
		name := route.Method + " " + route.Path
		rule, known := rules[name]
		require.True(t, known, "%s: say in rules and in docs/security.md what a key must allow to use it", name)
		path := strings.NewReplacer(":id", "x", ":name", "x", "*name", "x").Replace(route.Path)
		for _, key := range []string{submit, read, operate, admin, keyBoth} {
			w := b.as(t, key, route.Method, path, "")
			require.NotEqual(t, http.StatusUnauthorized, w.Code, "%s with %s", name, key)
			require.Equal(t, may(rule, key), w.Code != http.StatusForbidden, "%s with %s: %s", name, key, w.Body)
		}
		if rule == anybody {
			require.Equal(t, http.StatusOK, b.send(t, route.Method, path, "").Code, name)
			continue
		}
		b.serve(nil) // which forgets failures
		for _, headers := range [][]string{nil, {b.header[keyNobody]}, {b.header[keyOld]}} {
			require.Equal(t, http.StatusUnauthorized, b.send(t, route.Method, path, "", headers...).Code, name)
		}
	}
}

func TestAMissingKeyIsToldHowToBeShown(t *testing.T) {
	t.Parallel()
	b := setupKeys(t)
	for _, header := range []string{
		"X-Nothing: x", "Authorization: ", "Authorization: Bearer", "Authorization: Bearer ", "Authorization: Basic dTpw", "Api-Key: ",
		strings.Replace(b.header[keyShop], "Authorization: Bearer", "Cookie: key=", 1),
	} {
		w := b.send(t, http.MethodGet, "/v1/files", "", header)
		require.Equal(t, `Bearer realm="headrace"`, w.Header().Get("WWW-Authenticate"), header)
		e := envelope(t, w)
		require.Equal(t, http.StatusUnauthorized, e.Status)
		require.Equal(t, "invalid_request_error", e.Type)
		require.Nil(t, e.Code)
		require.Nil(t, e.Param)
		require.Contains(t, e.Message, "You didn't provide an API key. ")
		require.Contains(t, e.Message, "Authorization: Bearer YOUR_KEY")
	}
	require.Equal(t, http.StatusUnauthorized,
		b.send(t, http.MethodGet, "/v1/files?api_key="+strings.Fields(b.header[keyShop])[2], "").Code, "queries end up in logs")
}

func TestNobodyIsToldWhyAKeyIsWrong(t *testing.T) {
	t.Parallel()
	b := setupKeys(t)
	right := b.header[keyShop]
	bodies := map[string]bool{}
	for _, header := range []string{
		b.header[keyNobody], b.header[keyOld], right[:len(right)-1], right + "x", "Authorization: Bearer sk-abc", "X-Api-Key: sk-abc",
		"Authorization: Bearer " + strings.Repeat("x", 10_000),
	} {
		w := b.send(t, http.MethodGet, "/v1/files", "", header)
		_, value, _ := strings.Cut(header, ": ")
		require.NotContains(t, w.Body.String(), strings.TrimPrefix(value, "Bearer "))
		require.Equal(t, `Bearer realm="headrace"`, w.Header().Get("WWW-Authenticate"))
		bodies[w.Body.String()] = true
		e := envelope(t, w)
		require.Equal(t, http.StatusUnauthorized, e.Status)
		require.Equal(t, "invalid_api_key", *e.Code)
		require.Contains(t, e.Message, "Incorrect API key provided. ")
	}
	require.Len(t, bodies, 1)
}

func TestAKeyIsTakenAsOpenAIsAzuresAndAnthropicsSDKsSendIt(t *testing.T) {
	t.Parallel()
	b := setupKeys(t)
	key := strings.Fields(b.header[keyShop])[2]
	wrong := "Authorization: Bearer sk-another"
	for _, header := range []string{"Authorization: Bearer ", "Authorization: bearer ", "Authorization: BEARER   ", "Api-Key: ", "X-Api-Key: "} {
		w := b.send(t, http.MethodGet, "/v1/files", "", header+key)
		require.Equal(t, http.StatusOK, w.Code, header)
		require.Equal(t, "private", w.Header().Get("Cache-Control"), "no cache on the way gives it to others")
	}
	require.Equal(t, http.StatusOK, b.send(t, http.MethodGet, "/v1/files", "", "Authorization: Basic dTpw", "X-Api-Key: "+key).Code)
	require.Equal(t, http.StatusUnauthorized, b.send(t, http.MethodGet, "/v1/files", "", wrong, "X-Api-Key: "+key).Code, "the first counts")
}

func TestAMissingScopeIsNamed(t *testing.T) {
	t.Parallel()
	b := setupKeys(t)
	for _, c := range []struct{ key, method, path, lacks string }{
		{read, http.MethodPost, "/v1/files", "submit"},
		{submit, http.MethodGet, "/v1/files", "read"},
		{submit, http.MethodPost, "/v1/responses/x/cancel", "read"},
		{operate, http.MethodPost, "/v1/responses/x/cancel", "submit, read"},
		{operate, http.MethodGet, "/v1/models", "submit or read"},
		{operate, http.MethodPut, "/v1/queues/x", "admin"},
	} {
		w := b.as(t, c.key, c.method, c.path, "")
		require.Empty(t, w.Header().Get("WWW-Authenticate"))
		e := envelope(t, w)
		require.Equal(t, http.StatusForbidden, e.Status)
		require.Equal(t, "invalid_request_error", e.Type)
		require.Equal(t, "missing_scope", *e.Code)
		require.Contains(t, e.Message, "You have insufficient permissions for this operation. Missing scopes: "+c.lacks+". ")
	}
}

func TestWhoeverTriesKeysIsSlowedDownAndNobodyElse(t *testing.T) {
	t.Parallel()
	b := setupKeys(t)
	let := 0
	for range 60 {
		w := b.as(t, keyNobody, http.MethodGet, "/v1/files", "")
		if w.Code == http.StatusUnauthorized {
			let++
			continue
		}
		require.Regexp(t, `^[1-9][0-9]*$`, w.Header().Get("Retry-After"))
		require.Equal(t, "false", w.Header().Get("X-Should-Retry"))
		e := envelope(t, w)
		require.Equal(t, http.StatusTooManyRequests, e.Status)
		require.Equal(t, "rate_limit_exceeded", *e.Code)
		require.Contains(t, e.Message, " second")
	}
	require.GreaterOrEqual(t, let, 20)
	require.Less(t, let, 60, "and one for each second that this takes")
	require.Equal(t, http.StatusOK, b.as(t, keyShop, http.MethodGet, "/v1/files", "").Code, "from the same address")
	require.Equal(t, http.StatusForbidden, b.as(t, submit, http.MethodGet, "/v1/files", "").Code, "and what has a key is no failure")
}

func TestRequestsWithoutAValidKeyAreLoggedButNotAllOfThem(t *testing.T) {
	t.Parallel()
	b := setupKeys(t)
	b.send(t, http.MethodGet, "/v1/files", "")
	w := b.as(t, keyOld, http.MethodGet, "/v1/files/secret", "")
	for range 100 {
		b.as(t, keyNobody, http.MethodGet, "/v1/files", "")
	}
	lines := strings.Split(strings.TrimSpace(b.log.String()), "\n")
	require.GreaterOrEqual(t, len(lines), 10)
	require.Less(t, len(lines), 50)
	require.Contains(t, lines[0], `level=WARN msg="request without a valid API key" address=192.0.2.1:1234 reason="no key" status=401`)
	require.Contains(t, lines[1], `reason="the key has expired"`)
	require.Contains(t, lines[1], `key_name=old`)
	require.Contains(t, lines[1], "path=/v1/files/:id")
	require.Contains(t, lines[1], "request_id="+w.Header().Get("X-Request-Id"))
	require.Contains(t, lines[2], `reason="no such key"`)
	for _, header := range b.header {
		require.NotContains(t, b.log.String(), strings.Fields(header)[2])
	}
	require.NotContains(t, b.log.String(), "hr_")
}

func TestWithoutKeysEverythingIsTheDefaultProjects(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.upload(t, "{}", "Authorization: Bearer whatever")
	f, err := b.store.File(t.Context(), "default", id)
	require.NoError(t, err)
	require.Equal(t, id, f.ID)
}

func TestWhatIsMadeWithAKeyIsItsProjects(t *testing.T) {
	t.Parallel()
	b := setupKeys(t)
	id := b.upload(t, "{}", b.header[submit])
	_, err := b.store.File(t.Context(), "shop", id)
	require.NoError(t, err)
	require.Equal(t, id, b.made(t, read, http.MethodGet, "/v1/files/"+id, "").Get("id").Str, "another key of the project")
}
