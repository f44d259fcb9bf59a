package llm_test

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/llm"
)

// refusal is what a provider may answer instead of a success, and the kind that
// it stands for without an x-should-retry.
type refusal struct {
	name    string
	status  int
	header  map[string]string
	errType string
	code    string
	want    llm.Kind
}

// refusals is the table of errors in the design, row by row.
func refusals() []refusal {
	tomorrow := time.Now().Add(24 * time.Hour).UTC().Format(http.TimeFormat)
	return []refusal{
		{name: "a success that is no JSON", status: 200, want: llm.Transient},
		{name: "another success that is no JSON", status: 204, want: llm.Transient},
		{name: "request timeout", status: 408, want: llm.Transient},
		{name: "conflict", status: 409, want: llm.Transient},
		{name: "server error", status: 500, errType: "server_error", want: llm.Transient},
		{name: "bad gateway", status: 502, want: llm.Transient},
		{name: "gateway timeout", status: 504, want: llm.Transient},
		{name: "a Cloudflare error", status: 520, want: llm.Transient},
		{name: "an unknown server error", status: 599, want: llm.Transient},
		{name: "unavailable without a time", status: 503, errType: "service_unavailable_error", code: "server_is_overloaded", want: llm.Transient},
		{name: "unavailable from now on", status: 503, header: map[string]string{"Retry-After": "0"}, want: llm.Transient},
		{name: "unavailable with nonsense", status: 503, header: map[string]string{"Retry-After": "soon"}, want: llm.Transient},

		{name: "unavailable for seconds", status: 503, header: map[string]string{"Retry-After": "3"}, want: llm.Throttled},
		{name: "unavailable for milliseconds", status: 503, header: map[string]string{"Retry-After-Ms": "20"}, want: llm.Throttled},
		{name: "unavailable until a date", status: 503, header: map[string]string{"Retry-After": tomorrow}, want: llm.Throttled},
		{name: "a rate limit", status: 429, errType: "requests", code: "rate_limit_exceeded", want: llm.Throttled},
		{name: "a rate limit with a time", status: 429, header: map[string]string{"Retry-After": "3"}, errType: "tokens", want: llm.Throttled},
		{name: "slow down", status: 429, errType: "rate_limit_error", code: "slow_down", want: llm.Throttled},
		{name: "a 429 without a word", status: 429, want: llm.Throttled},
		{name: "overloaded", status: 529, errType: "overloaded_error", want: llm.Throttled},

		{name: "payment required", status: 402, want: llm.Exhausted},
		{name: "no quota, by type", status: 429, errType: "insufficient_quota", want: llm.Exhausted},
		{name: "no quota, by code", status: 429, errType: "requests", code: "insufficient_quota", want: llm.Exhausted},
		{name: "no quota, with a time", status: 429, header: map[string]string{"Retry-After": "1"}, code: "insufficient_quota", want: llm.Exhausted},
		{name: "no credit", status: 429, errType: "insufficient_quota", code: "credit_balance_exhausted", want: llm.Exhausted},
		{name: "hard limit", status: 429, code: "billing_hard_limit_reached", want: llm.Exhausted},
		{name: "no billing", status: 429, code: "billing_not_active", want: llm.Exhausted},
		{name: "the organization's spending", status: 429, code: "organization_spend_limit_exceeded", want: llm.Exhausted},
		{name: "the project's spending", status: 429, code: "project_spend_limit_exceeded", want: llm.Exhausted},
		{name: "the organization's usage", status: 429, code: "organization_usage_limit_exceeded", want: llm.Exhausted},

		{name: "a wrong key", status: 401, code: "invalid_api_key", want: llm.Refused},
		{name: "a key without the right", status: 403, code: "unsupported_country_region_territory", want: llm.Refused},

		{name: "a bad request", status: 400, errType: "invalid_request_error", want: llm.Permanent},
		{name: "a bad request with a time", status: 400, header: map[string]string{"Retry-After": "3"}, want: llm.Permanent},
		{name: "not found", status: 404, code: "model_not_found", want: llm.Permanent},
		{name: "wrong method", status: 405, want: llm.Permanent},
		{name: "too large", status: 413, want: llm.Permanent},
		{name: "unprocessable", status: 422, want: llm.Permanent},
		{name: "a redirect", status: 301, want: llm.Permanent},
		{name: "not modified", status: 304, want: llm.Permanent},
		{name: "a permanent redirect", status: 308, want: llm.Permanent},
	}
}

// classify asks for the kind of r with an x-should-retry, "" for none.
func (r refusal) classify(shouldRetry string) llm.Kind {
	header := http.Header{}
	for name, value := range r.header {
		header.Set(name, value)
	}
	if shouldRetry != "" {
		header.Set("X-Should-Retry", shouldRetry)
	}
	return llm.Classify(r.status, header, r.errType, r.code)
}

func TestEachAnswerIsOfTheKindInTheDesign(t *testing.T) {
	t.Parallel()
	for _, r := range refusals() {
		require.Equal(t, r.want, r.classify(""), "%d: %s", r.status, r.name)
	}
}

func TestTheHeaderShouldRetryWinsExceptWhereTheRunIsHeld(t *testing.T) {
	t.Parallel()
	told := map[string]map[llm.Kind]llm.Kind{
		"true": {
			llm.Transient: llm.Transient,
			llm.Throttled: llm.Throttled,
			llm.Exhausted: llm.Exhausted,
			llm.Refused:   llm.Transient,
			llm.Permanent: llm.Transient,
		},
		"false": {
			llm.Transient: llm.Permanent,
			llm.Throttled: llm.Permanent,
			llm.Exhausted: llm.Exhausted,
			llm.Refused:   llm.Refused,
			llm.Permanent: llm.Permanent,
		},
	}
	for _, r := range refusals() {
		for value, kinds := range told {
			require.Equal(t, kinds[r.want], r.classify(value), "%d: %s, x-should-retry %s", r.status, r.name, value)
		}
		require.Equal(t, r.want, r.classify("perhaps"), "%d: %s, x-should-retry that is neither", r.status, r.name)
	}
}

func TestKindsAreNamedAsLogsAndSummariesDo(t *testing.T) {
	t.Parallel()
	for kind, want := range map[llm.Kind]string{
		llm.Transient: "transient", llm.Throttled: "throttled", llm.Exhausted: "exhausted", llm.Refused: "refused",
		llm.Unreachable: "unreachable", llm.Permanent: "permanent", llm.Kind(42): "kind 42",
	} {
		require.Equal(t, want, kind.String())
	}
}

func TestAnErrorSaysWhatTheProviderAnsweredAndKeepsItsCause(t *testing.T) {
	t.Parallel()
	answered := &llm.Error{Kind: llm.Throttled, Status: 429, Message: "slow down"}
	require.EqualError(t, answered, "throttled: provider answered 429: slow down")
	require.NoError(t, errors.Unwrap(answered))

	cut := &llm.Error{Kind: llm.Transient, Message: "unexpected EOF", Err: io.ErrUnexpectedEOF}
	require.EqualError(t, cut, "transient: unexpected EOF")
	require.ErrorIs(t, cut, io.ErrUnexpectedEOF)
}
