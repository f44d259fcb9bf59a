package task_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

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
