package e2e_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/codec"
	"github.com/headrace/headrace/internal/seal"
	"github.com/headrace/headrace/internal/simulator"
)

// sealing is the environment that gives the n-th key an id and a secret.
func sealing(n, id, secret string) []string {
	return []string{"HEADRACE_ENCRYPTION_KEYS_" + n + "_ID=" + id, "HEADRACE_ENCRYPTION_KEYS_" + n + "_KEY=" + secret}
}

// TestWorkWaitsForTheKeyThatItIsSealedWith starts what has begun with one key
// without any, and then with another one before the first.
func TestWorkWaitsForTheKeyThatItIsSealedWith(t *testing.T) {
	t.Parallel()
	up, dir := sim(t, simulator.Options{}), t.TempDir()
	run := func(env ...string) (*process, *system) {
		p := start(t, env, "dev", "--listen", "127.0.0.1:0", "--temporal-port", "0", "--ui-port", "0", "--data", dir, "--upstream", up.URL())
		return p, &system{url: p.await(p.stdout, `API (http://\S+)/v1`), upstream: up}
	}
	first, second := seal.NewKey().Reveal(), seal.NewKey().Reveal()
	p, s := run(sealing("0", "first", first)...)
	id := s.addID(t, chatTask(chatBody("Sealed with the first", ""), `,"not_before":"5s"`))
	batch := s.create(t, s.upload(t, request("a", "Sealed", `,"user":"sim:latency=5s"`)+"\n"), "")
	p.kill()

	p, _ = run()
	p.await(p.stderr, `sealed with key \\*"first\\*", which is not configured`)
	p.kill()

	_, s = run(append(sealing("0", "second", second), sealing("1", "first", first)...)...)
	require.Equal(t, "Echo: Sealed with the first", s.completed(t, id).Get("result.body.choices.0.message.content").Str)
	s.until(t, batch, "completed")
}

// TestTheWebUIOfDevHasPayloadsOpened does what the pages of the Web UI do.
func TestTheWebUIOfDevHasPayloadsOpened(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	key := seal.NewKey()
	p := start(t, sealing("0", "k1", key.Reveal()), "dev", "--listen", "127.0.0.1:0", "--ui-port", "0", "--data", t.TempDir(),
		"--temporal-port", "0", "--upstream", up.URL())
	s := &system{url: p.await(p.stdout, `API (http://\S+)/v1`), upstream: up}
	ui := p.await(p.stdout, `Temporal UI (http://\S+)`)
	settings := (&system{url: ui}).get(t, "/api/v1/settings")
	endpoint := gjson.GetBytes(settings.body, "Codec.Endpoint").Str
	require.Equal(t, s.url+"/codec", endpoint)

	keys, err := seal.New(seal.Key{ID: "k1", Secret: key})
	require.NoError(t, err)
	sealed, err := codec.Converter(keys).ToPayload("for the page")
	require.NoError(t, err)
	body := `{"payloads":[{"metadata":{"encoding":` + jsonOf(sealed.GetMetadata()["encoding"]) + `},"data":` + jsonOf(sealed.GetData()) + `}]}`
	for origin, status := range map[string]int{ui: http.StatusOK, "http://evil.example.com": http.StatusForbidden} {
		r := s.send(t, http.MethodPost, "/codec/decode", body, "Origin: "+origin, "Content-Type: application/json", "X-Namespace: default")
		require.Equal(t, status, r.status, "%s", r.body)
		if status == http.StatusOK {
			require.Equal(t, jsonOf([]byte(`"for the page"`)), gjson.GetBytes(r.body, "payloads.0.data").Raw)
		}
	}
}

// jsonOf is a value as JSON.
func jsonOf(v any) string {
	data, _ := json.Marshal(v)
	return string(data)
}
