package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

func TestAWrongFallbackIsRefused(t *testing.T) {
	t.Parallel()
	b := setupQueues(t)
	for fallback, want := range map[string]struct{ param, message string }{
		`{}`:                                  {"fallback.targets", "Missing required parameter"},
		`[]`:                                  {"fallback", "expected an object"},
		`{"targets":[],"on":["refused"]}`:     {"fallback.targets", "1 to 8 elements, but got 0"},
		`{"targets":[{}],"on":["refused"]}`:   {"fallback.targets[0]", "a 'model', a 'provider' or both"},
		`{"targets":[7],"on":["refused"]}`:    {"fallback.targets[0]", "expected an object"},
		`{"targets":[null],"on":["refused"]}`: {"fallback.targets[0]", "expected an object"},
		`{"targets":[{"model":"m"},{"modle":"m"}],"on":["refused"]}`: {"fallback.targets[1]", "a 'model'"},
		`{"targets":[{"model":"m","x":1}],"on":["refused"]}`:         {"fallback.targets[0].x", "Unknown parameter"},
		`{"targets":[{"model":7}],"on":["refused"]}`:                 {"fallback.targets[0].model", "expected a string"},
		`{"targets":[{"model":"m"}]}`:                                {"fallback.on", "Missing required parameter"},
		`{"targets":[{"model":"m"}],"on":[]}`:                        {"fallback.on", "1 to 6 elements"},
		`{"targets":[{"model":"m"}],"on":["sometimes"]}`:             {"fallback.on[0]", "Supported values are: 'transient', 'throttled'"},
		`{"targets":[{"model":"m"}],"on":["refused",1]}`:             {"fallback.on[1]", "expected a string"},
		`{"targets":[{"model":"m"}],"on":["refused"],"x":1}`:         {"fallback.x", "Unknown parameter"},
	} {
		e := envelope(t, b.send(t, http.MethodPut, "/v1/queues/q", `{"fallback":`+fallback+`}`))
		require.Equal(t, http.StatusBadRequest, e.Status, fallback)
		require.NotNil(t, e.Param, fallback)
		require.Equal(t, want.param, *e.Param, fallback)
		require.Contains(t, e.Message, want.message)
	}
	require.Empty(t, b.queues.memos, "nothing was changed")
}

func TestKindsOfAFallbackAreNamedOnce(t *testing.T) {
	t.Parallel()
	b := setupQueues(t)
	o := b.ask(t, http.MethodPut, "/v1/queues/q", `{"fallback":{"targets":[{"model":"m","provider":null}],"on":["throttled","refused","throttled"]}}`)
	require.JSONEq(t, `{"targets":[{"model":"m"}],"on":["refused","throttled"]}`, o.Get("fallback").Raw)
	o = b.ask(t, http.MethodPut, "/v1/queues/q", `{"fallback":null}`)
	require.Equal(t, gjson.Null, o.Get("fallback").Type)
}
