package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// refusal is an error as the API should word it. An empty param or code is null
// on the wire, a code of "*" is not looked at, an empty kind is
// invalid_request_error.
type refusal struct {
	status                     int
	kind, param, code, message string // message is a part of it
}

// requireRefusal checks status, headers and the whole envelope.
func requireRefusal(t *testing.T, want refusal, got reply) {
	t.Helper()
	require.Equal(t, want.status, got.status, "%s", got.body)
	require.Equal(t, "application/json", got.header.Get("Content-Type"))
	require.Regexp(t, `^req_[0-9a-z]{26}$`, got.header.Get("X-Request-Id"))
	o := got.object(t)
	require.Len(t, o, 1)
	e, ok := o["error"].(map[string]any)
	require.True(t, ok)
	if want.kind == "" {
		want.kind = "invalid_request_error"
	}
	require.Contains(t, e["message"], want.message)
	delete(e, "message")
	require.Equal(t, map[string]any{"type": want.kind, "param": orNil(want.param), "code": orNil(want.code)}, e)
}

func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// wrong is one wrong request.
type wrong struct {
	name, method, path, body string
	want                     refusal
}

const unknownFile, unknownBatch = "file-00000000000000000000000000", "batch_00000000000000000000000000"

func TestWhatDoesNotExistIsNotFound(t *testing.T) {
	t.Parallel()
	noFile := refusal{status: 404, param: "id", message: "No such File object: file-"}
	noBatch := refusal{status: 404, message: "No batch found with id 'batch_"}
	s := shared(t)
	for _, w := range []wrong{
		{"file", "GET", "/v1/files/" + unknownFile, "", noFile},
		{"file content", "GET", "/v1/files/" + unknownFile + "/content", "", noFile},
		{"file to delete", "DELETE", "/v1/files/" + unknownFile, "", noFile},
		{"file with another kind of id", "GET", "/v1/files/file-abc", "", noFile},
		{"file with a path for an id", "GET", "/v1/files/file-..%2F..%2Fsecret/content", "", noFile},
		{"batch", "GET", "/v1/batches/" + unknownBatch, "", noBatch},
		{"batch to cancel", "POST", "/v1/batches/" + unknownBatch + "/cancel", "", noBatch},
		{"results", "GET", "/v1/batches/" + unknownBatch + "/results", "", noBatch},
		{"batch with another kind of id", "GET", "/v1/batches/batch_abc", "", noBatch},
		{"route", "GET", "/v1/nothing", "", refusal{status: 404, message: "Invalid URL (GET /v1/nothing)"}},
		{"route outside v1", "POST", "/files", "", refusal{status: 404, message: "Invalid URL (POST /files)"}},
		{"route with a slash", "GET", "/v1/files/", "", refusal{status: 404, message: "Invalid URL (GET /v1/files/)"}},
		{"method", "PUT", "/v1/files", "", refusal{status: 405, message: "Not allowed to PUT on /v1/files."}},
		{"method on a batch", "PUT", "/v1/batches/" + unknownBatch, "", refusal{status: 405, message: "Not allowed to PUT"}},
	} {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			requireRefusal(t, w.want, s.send(t, w.method, w.path, w.body))
		})
	}
}

func TestAWrongMethodIsToldTheRightOnes(t *testing.T) {
	t.Parallel()
	r := shared(t).send(t, http.MethodPut, "/v1/files", "")
	require.ElementsMatch(t, []string{"GET", "POST"}, strings.Split(r.header.Get("Allow"), ", "))
}

func TestAWrongBatchIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	s := shared(t)
	file := s.upload(t, requests(1))
	other := s.post(t, part{name: "purpose", content: "user_data"}, part{name: "file", filename: "a.jsonl", content: "x"}).object(t)["id"].(string)
	with := func(old, replacement string) string { return strings.Replace(newBatch(file, ""), old, replacement, 1) }
	bad := func(param, code, message string) refusal {
		return refusal{status: 400, param: param, code: code, message: message}
	}
	for name, c := range map[string]struct {
		body string
		want refusal
	}{
		"no body":                 {"", bad("input_file_id", "missing_required_parameter", "Missing required parameter: 'input_file_id'.")},
		"no JSON":                 {"{", bad("", "", "We could not parse the JSON body of your request")},
		"no object":               {"[]", bad("", "", "We could not parse the JSON body of your request")},
		"null":                    {"null", bad("", "", "We could not parse the JSON body of your request")},
		"two objects":             {"{}{}", bad("", "", "We could not parse the JSON body of your request")},
		"no endpoint":             {with(`"endpoint":"/v1/chat/completions",`, ""), bad("endpoint", "missing_required_parameter", "'endpoint'")},
		"no window":               {with(`,"completion_window":"24h"`, ""), bad("completion_window", "missing_required_parameter", "'completion_window'")},
		"null for a file":         {with(`"`+file+`"`, "null"), bad("input_file_id", "missing_required_parameter", "'input_file_id'")},
		"a number for a file":     {with(`"`+file+`"`, "12"), bad("input_file_id", "invalid_type", "expected a string, but got an integer")},
		"unknown endpoint":        {with("/v1/chat", "/v2/chat"), bad("endpoint", "invalid_value", "Invalid value: '/v2/chat/completions'. Supported values are:")},
		"window that is none":     {with("24h", "soon"), bad("completion_window", "invalid_value", "but got 'soon'")},
		"negative window":         {with("24h", "-24h"), bad("completion_window", "invalid_value", "but got '-24h'")},
		"endless window":          {with("24h", "366d"), bad("completion_window", "invalid_value", "but got '366d'")},
		"file of another purpose": {newBatch(other, ""), bad("input_file_id", "invalid_value", "has the purpose 'user_data', but 'batch' is needed")},
		"metadata of lists":       {newBatch(file, `,"metadata":{"tags":["a"]}`), bad("metadata.tags", "invalid_type", "Invalid type for 'metadata.tags': expected a string, but got an array instead.")},
		"metadata that is a list": {newBatch(file, `,"metadata":[]`), bad("metadata", "invalid_type", "expected an object, but got an array")},
		"metadata of 17 pairs":    {newBatch(file, `,"metadata":`+pairs(17)), bad("metadata", "invalid_value", "at most 16 properties, but got 17")},
		"long metadata key":       {newBatch(file, `,"metadata":{"`+strings.Repeat("k", 65)+`":""}`), bad("metadata."+strings.Repeat("k", 65), "invalid_value", "at most 64 characters")},
		"long metadata value":     {newBatch(file, `,"metadata":{"k":"`+strings.Repeat("v", 513)+`"}`), bad("metadata.k", "invalid_value", "at most 512")},
		"unknown field":           {newBatch(file, `,"colour":"red"`), bad("colour", "unknown_parameter", "Unknown parameter: 'colour'.")},
		"unknown own field":       {newBatch(file, `,"headrace":{"colour":1}`), bad("headrace.colour", "unknown_parameter", "Unknown parameter: 'headrace.colour'.")},
		"no concurrency":          {newBatch(file, `,"headrace":{"max_concurrency":0}`), bad("headrace.max_concurrency", "invalid_value", "expected an integer from 1 to 10000, but got 0")},
		"timeout of a day and 1s": {newBatch(file, `,"headrace":{"timeout":"24h0m1s"}`), bad("headrace.timeout", "invalid_value", "but got '24h0m1s'")},
		"short output expiry":     {newBatch(file, `,"output_expires_after":{"anchor":"created_at","seconds":60}`), bad("output_expires_after.seconds", "invalid_value", "but got 60")},
		"odd output anchor":       {newBatch(file, `,"output_expires_after":{"anchor":"birth","seconds":3600}`), bad("output_expires_after.anchor", "invalid_value", "Supported values are: 'created_at'")},
		"body of 2 MiB":           {newBatch(file, `,"metadata":{"k":"`+strings.Repeat("v", 2<<20)+`"}`), refusal{status: 413, message: "larger than 1048576 bytes"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireRefusal(t, c.want, s.send(t, http.MethodPost, "/v1/batches", c.body))
		})
	}
}

// pairs is a JSON object of n members.
func pairs(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`"k%d":"v"`, i)
	}
	return "{" + strings.Join(all, ",") + "}"
}

func TestMetadataMayBeAsLargeAsOpenAIAllows(t *testing.T) {
	t.Parallel()
	s := shared(t)
	file := s.upload(t, requests(1))
	full := strings.Replace(pairs(16), `"k0":"v"`, fmt.Sprintf(`"%s":"%s"`, strings.Repeat("é", 64), strings.Repeat("é", 512)), 1)
	for _, metadata := range []string{full, "{}", "null"} {
		r := s.send(t, http.MethodPost, "/v1/batches", newBatch(file, `,"metadata":`+metadata))
		require.Equal(t, http.StatusOK, r.status, "%s", r.body)
	}
}

func TestAWrongQueryIsRefused(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for query, want := range map[string]refusal{
		"/v1/files?limit=0":        {status: 400, param: "limit", code: "invalid_value", message: "from 1 to 10000, but got '0'"},
		"/v1/files?limit=10001":    {status: 400, param: "limit", code: "invalid_value", message: "but got '10001'"},
		"/v1/batches?limit=101":    {status: 400, param: "limit", code: "invalid_value", message: "from 1 to 100, but got '101'"},
		"/v1/batches?limit=many":   {status: 400, param: "limit", code: "invalid_value", message: "but got 'many'"},
		"/v1/batches?limit=":       {status: 400, param: "limit", code: "invalid_value", message: "but got ''"},
		"/v1/batches?after=file-1": {status: 400, param: "after", code: "invalid_value", message: "'file-1' is not the id of an element"},
		"/v1/files?order=random":   {status: 400, param: "order", code: "invalid_value", message: "Supported values are: 'asc', and 'desc'."},
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			requireRefusal(t, want, s.send(t, http.MethodGet, query, ""))
		})
	}
}

// TestAPageOfAnotherSiteCannotUseHeadrace has a browser's headers.
func TestAPageOfAnotherSiteCannotUseHeadrace(t *testing.T) {
	t.Parallel()
	s := shared(t)
	r := s.send(t, http.MethodPost, "/v1/batches", "{}", "Origin: https://example.com", "Sec-Fetch-Site: cross-site")
	requireRefusal(t, refusal{status: 403, message: "Cross-origin requests from browsers are not accepted."}, r)
}

func TestEveryAnswerNamesItsRequest(t *testing.T) {
	t.Parallel()
	s := shared(t)
	seen := map[string]bool{}
	for _, path := range []string{"/v1/files", "/v1/files", "/v1/batches", "/livez", "/readyz", "/nothing"} {
		id := s.send(t, http.MethodGet, path, "").header.Get("X-Request-Id")
		require.Regexp(t, `^req_[0-9a-z]{26}$`, id, path)
		require.False(t, seen[id], "an id names one request")
		seen[id] = true
	}
}
