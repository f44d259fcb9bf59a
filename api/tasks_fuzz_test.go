package api_test

import (
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/api"
	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/task"
)

// FuzzTasks reads whatever anybody might post as tasks: it is refused with an
// error that may be shown, or makes tasks that the workflow can carry.
func FuzzTasks(f *testing.F) {
	for _, body := range []string{
		`{"url":"/v1/chat/completions","body":{"model":"m","messages":[]}}`,
		`[{"url":"/v1/embeddings","body":{"input":"a"},"priority":-3,"metadata":{"a":"b"}},{"url":"/v1/nope","body":{}}]`,
		`{"url":"https://example.com/x","method":"put","headers":{"A":"b"},"body":"text","timeout":"1s"}`,
		`{"url":"/v1/moderations","body":{"input":"a"},"not_before":"90s","deadline":4102444800,"headrace":{"queue":"q","cache":"1h"}}`,
		`{"url":"/v1/embeddings","body":{},"not_before":-1}`, `{"url":"/v1/embeddings","body":{},"deadline":"2020-01-01T00:00:00Z"}`,
		`{"url":"/v1/embeddings","body":{"stream":true}}`, `{"url":"/v1/embeddings","body":{},"queue":"a","headrace":{"queue":"b"}}`,
		`[]`, `null`, `7`, `{}`, "{\"url\":1}\n{\"url\":2}", `{"url":"/v1/embeddings","body":{},"metadata":{"a":1}}`,
	} {
		f.Add("application/json", []byte(body))
		f.Add("application/x-ndjson", []byte(body))
	}
	parse := api.New(api.Options{}).ParseTasks
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		if !utf8.Valid(body) { // refused before it is parsed
			return
		}
		specs, many, err := parse(contentType, body)
		if err != nil {
			shown, ok := errors.AsType[*openai.Error](err)
			require.True(t, ok, "%T: %v", err, err)
			require.NotZero(t, shown.Status)
			return
		}
		require.NotEmpty(t, specs)
		require.True(t, many || len(specs) == 1)
		for _, s := range specs {
			require.True(t, openai.Endpoint(s.URL).Valid(), "no hosts are allowed here")
			require.True(t, json.Valid([]byte(s.Body)))
			require.LessOrEqual(t, max(s.Priority, -s.Priority), task.PriorityLimit)
			require.LessOrEqual(t, s.Timeout, batch.TimeoutLimit)
			require.GreaterOrEqual(t, s.Tries(), 1)
		}
		data, err := json.Marshal(specs)
		require.NoError(t, err)
		var back []task.Spec
		require.NoError(t, json.Unmarshal(data, &back))
		for i := range specs {
			require.Equal(t, specs[i].Body, back[i].Body, "what the workflow is given is what was asked")
		}
	})
}
