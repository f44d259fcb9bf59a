package task_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/task"
)

func TestAnIDIsReadBackAndNothingElseIs(t *testing.T) {
	t.Parallel()
	id := task.ID{Group: task.NewGroup(), N: 12}
	back, ok := task.ParseID(task.Prefix, id.String())
	require.True(t, ok)
	require.Equal(t, id, back)
	for _, bad := range []string{
		"", "task_", "task_" + id.Group, id.String() + "x", "task_" + id.Group + "_-1", "task_" + id.Group + "_01",
		"task_" + id.Group + "_10000", "task_../../x_1", "task_" + strings.ToUpper(id.Group) + "_1", id.Response(),
	} {
		_, ok := task.ParseID(task.Prefix, bad)
		require.False(t, ok, bad)
	}
}

func TestTheBodyOfAResultStandsInTheObjectAsItCame(t *testing.T) {
	t.Parallel()
	o := task.New(task.ID{Group: task.NewGroup()}, task.Spec{URL: "/v1/embeddings"}, task.Now())
	for body, want := range map[string]string{
		"{\n \"big\": 12345678901234567890, \"e\":\"\\u003c<&\" }\n": "{\n \"big\": 12345678901234567890, \"e\":\"\\u003c<&\" }\n",
		"plain \"text\"": `"plain \"text\""`,
		"":               `""`,
		"\xff\x00":       `"/wA="`,
	} {
		o.Result = &task.Result{StatusCode: 200, Body: []byte(body)}
		data, err := o.JSON()
		require.NoError(t, err)
		require.True(t, json.Valid(data), "%s", data)
		require.True(t, strings.HasSuffix(string(data), `"body":`+want+`}}`), "%s", data)
		require.Equal(t, body == "\xff\x00", strings.Contains(string(data), `"body_encoding":"base64"`))
	}
	o.Result = nil
	data, err := o.JSON()
	require.NoError(t, err)
	require.Contains(t, string(data), `"result":null`)
}

func TestAnAttemptThatEndsATaskIsNoReasonToTryAgain(t *testing.T) {
	t.Parallel()
	attempt := func(kind llm.Kind) task.Attempt { return task.Attempt{Error: &task.AttemptError{Kind: kind.String()}} }
	again, never, paused, well := attempt(llm.Transient), attempt(llm.Permanent), attempt(llm.Throttled), task.Attempt{}
	for name, c := range map[string]struct {
		attempts []task.Attempt
		want     int
	}{
		"none":                 {nil, 0},
		"one that succeeded":   {[]task.Attempt{well}, 0},
		"one that may pass":    {[]task.Attempt{again}, 1},
		"one that does not":    {[]task.Attempt{never}, 0},
		"success after two":    {[]task.Attempt{again, paused, well}, 2},
		"refused after one":    {[]task.Attempt{again, never}, 1},
		"the last of three":    {[]task.Attempt{again, again, again}, 2},
		"pauses are no tries":  {[]task.Attempt{paused, paused, paused, again, again}, 5},
		"a pause after a try":  {[]task.Attempt{again, again, paused}, 3},
		"the last after pause": {[]task.Attempt{paused, again, again, again}, 3},
	} {
		require.Equal(t, c.want, task.Object{MaxAttempts: 3, Attempts: c.attempts}.Retries(), name)
	}
}
