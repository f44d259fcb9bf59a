package provider_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/llm/provider"
)

func TestEachRefusalIsOfItsKind(t *testing.T) {
	t.Parallel()
	run := startSimulator(t)
	p := newProvider(t, provider.Config{BaseURL: run.URL()})
	for directive, want := range map[string]llm.Error{
		"sim:status=429":                                            {Kind: llm.Throttled, Status: 429, Code: "rate_limit_exceeded"},
		"sim:status=429;retry-after=2":                              {Kind: llm.Throttled, Status: 429, Code: "rate_limit_exceeded", RetryAfter: 2 * time.Second},
		"sim:status=429;retry-after-ms=1500":                        {Kind: llm.Throttled, Status: 429, Code: "rate_limit_exceeded", RetryAfter: 1500 * time.Millisecond},
		"sim:status=429;reset-requests=6m0s":                        {Kind: llm.Throttled, Status: 429, Code: "rate_limit_exceeded", RetryAfter: 6 * time.Minute},
		"sim:status=429;code=insufficient_quota":                    {Kind: llm.Exhausted, Status: 429, Code: "insufficient_quota"},
		"sim:status=429;code=billing_not_active":                    {Kind: llm.Exhausted, Status: 429, Code: "billing_not_active"},
		"sim:status=402":                                            {Kind: llm.Exhausted, Status: 402, Code: "insufficient_quota"},
		"sim:status=401":                                            {Kind: llm.Refused, Status: 401, Code: "invalid_api_key"},
		"sim:status=403":                                            {Kind: llm.Refused, Status: 403},
		"sim:status=500":                                            {Kind: llm.Transient, Status: 500},
		"sim:status=502;retry-after=9":                              {Kind: llm.Transient, Status: 502, RetryAfter: 9 * time.Second},
		"sim:status=503":                                            {Kind: llm.Transient, Status: 503, Code: "server_is_overloaded"},
		"sim:status=503;retry-after=3":                              {Kind: llm.Throttled, Status: 503, Code: "server_is_overloaded", RetryAfter: 3 * time.Second},
		"sim:status=529":                                            {Kind: llm.Throttled, Status: 529},
		"sim:status=408":                                            {Kind: llm.Transient, Status: 408},
		"sim:status=409":                                            {Kind: llm.Transient, Status: 409},
		"sim:status=400":                                            {Kind: llm.Permanent, Status: 400},
		"sim:status=404":                                            {Kind: llm.Permanent, Status: 404},
		"sim:status=422;code=too_long":                              {Kind: llm.Permanent, Status: 422, Code: "too_long"},
		"sim:status=400;should-retry=true":                          {Kind: llm.Transient, Status: 400},
		"sim:status=500;should-retry=false":                         {Kind: llm.Permanent, Status: 500},
		"sim:status=429;should-retry=false":                         {Kind: llm.Permanent, Status: 429, Code: "rate_limit_exceeded"},
		"sim:status=401;should-retry=false":                         {Kind: llm.Refused, Status: 401, Code: "invalid_api_key"},
		"sim:status=402;should-retry=false":                         {Kind: llm.Exhausted, Status: 402, Code: "insufficient_quota"},
		"sim:status=429;should-retry=false;code=insufficient_quota": {Kind: llm.Exhausted, Status: 429, Code: "insufficient_quota"},
	} {
		e := failure(t, p, question(directive))
		requireEnvelope(t, e)
		require.Regexp(t, "^req_", e.RequestID)
		require.NoError(t, e.Err, "a whole answer came")
		got := llm.Error{Kind: e.Kind, Status: e.Status, Code: e.Code, RetryAfter: e.RetryAfter}
		require.Equal(t, want, got, directive)
	}
}

// requireEnvelope checks that an error says what its body says.
func requireEnvelope(t *testing.T, e *llm.Error) {
	t.Helper()
	var body struct {
		Error struct{ Message string }
	}
	require.NoError(t, json.Unmarshal(e.Body, &body), "body %q", e.Body)
	require.NotEmpty(t, body.Error.Message)
	require.Equal(t, body.Error.Message, e.Message)
}

func TestARetryAfterDateIsAWait(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Config{BaseURL: startSimulator(t).URL()})
	e := failure(t, p, question("sim:status=429;retry-date=3600"))
	require.Equal(t, llm.Throttled, e.Kind)
	require.InDelta(t, time.Hour, e.RetryAfter, float64(time.Minute))
}

func TestAWebPageInsteadOfJSONIsOfTheKindOfItsStatus(t *testing.T) {
	t.Parallel()
	p := newProvider(t, provider.Config{BaseURL: startSimulator(t).URL()})
	for directive, want := range map[string]llm.Kind{
		"sim:html": llm.Transient, "sim:html;status=502": llm.Transient, "sim:html;status=403": llm.Refused,
		"sim:html;status=429;retry-after=1": llm.Throttled, "sim:html;status=404": llm.Permanent,
	} {
		e := failure(t, p, question(directive))
		require.Equal(t, want, e.Kind, directive)
		require.Equal(t, llm.CodeInvalid, e.Code)
		require.Equal(t, http.StatusText(e.Status), e.Message)
		require.Contains(t, string(e.Body), "<!DOCTYPE html>")
	}
}

// TestErrorsOfOtherProvidersAreUnderstood has bodies as they were seen in the
// wild.
func TestErrorsOfOtherProvidersAreUnderstood(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]llm.Error{
		`{"error":{"message":"x","type":"t","code":1113}}`:                     {Code: "1113", Message: "x"},
		`{"error":{"message":"x","type":"t","param":null,"code":null}}`:        {Message: "x"},
		`{"error":{"code":"DeploymentNotFound","message":"x"}}`:                {Code: "DeploymentNotFound", Message: "x"},
		`{"error":{"message":["x","y"],"type":"t"}}`:                           {Message: "x, y"},
		`{"error":{"message":"x","type":7,"code":"y"}}`:                        {Message: "x"},
		`{"error":{"message":"","type":"t","code":"y"}}`:                       {Code: "y", Message: "Bad Request"},
		`{"error":{"type":"t","code":"y"}}`:                                    {Message: "Bad Request"},
		`{"error":{"message":"x","metadata":{"raw":"y"}},"user_id":"u"}`:       {Message: "x"},
		`{"error":"model is loading"}`:                                         {Message: "Bad Request"},
		`{"object":"error","message":"x","type":"BadRequestError","code":400}`: {Code: llm.CodeInvalid, Message: "Bad Request"},
		`{"detail":[{"loc":["body","messages"],"msg":"field required"}]}`:      {Code: llm.CodeInvalid, Message: "Bad Request"},
		`{}`: {Code: llm.CodeInvalid, Message: "Bad Request"},
		``:   {Code: llm.CodeInvalid, Message: "Bad Request"},
		`[{"error":{"message":"x","code":400,"status":"INVALID_ARGUMENT"}}]`: {Code: llm.CodeInvalid, Message: "Bad Request"},
	} {
		u := startUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(body))
		})
		e := failure(t, newProvider(t, provider.Config{BaseURL: u.URL}), "{}")
		require.Equal(t, llm.Permanent, e.Kind)
		require.Equal(t, body, string(e.Body), "as it came")
		require.Equal(t, want, llm.Error{Code: e.Code, Message: e.Message}, body)
	}
}

func TestARedirectIsPermanentAndNotFollowed(t *testing.T) {
	t.Parallel()
	final := startUpstream(t, nil)
	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		u := startUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", final.URL)
			w.WriteHeader(status)
		})
		e := failure(t, newProvider(t, provider.Config{BaseURL: u.URL}), "{}")
		require.Equal(t, llm.Permanent, e.Kind)
		require.Equal(t, status, e.Status)
		require.Equal(t, llm.CodeInvalid, e.Code)
		require.Contains(t, e.Message, "set its final URL as base URL")
	}
	require.Empty(t, final.arrivals, "neither bytes nor key went elsewhere")
}
