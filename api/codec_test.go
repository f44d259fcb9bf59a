package api_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"

	"github.com/headrace/headrace/api"
	"github.com/headrace/headrace/internal/apikey"
	"github.com/headrace/headrace/internal/codec"
	"github.com/headrace/headrace/internal/seal"
)

// uiOrigin is where a Web UI is that may have payloads opened.
const uiOrigin = "http://ui.example.com:8233"

// openers is an API beside a Web UI.
type openers struct {
	keys *seal.Keys
	api  *api.API
	key  string
}

func setupCodec(t *testing.T, scopes ...apikey.Scope) *openers {
	t.Helper()
	keys, err := seal.New(seal.Key{ID: "k1", Secret: seal.NewKey()})
	require.NoError(t, err)
	o := &openers{keys: keys}
	options := api.Options{Temporal: &temporal{}, Logger: slog.New(slog.DiscardHandler), Sealing: keys, CodecOrigins: []string{uiOrigin}}
	if len(scopes) > 0 {
		key, hash := apikey.New()
		o.key = key.Reveal()
		options.Keys, err = apikey.NewRing([]apikey.Key{{Name: "ui", Project: "default", Hash: hash, Scopes: scopes}})
		require.NoError(t, err)
	}
	o.api = api.New(options)
	return o
}

// ServeHTTP implements http.Handler, so that Temporal's own client can ask.
func (o *openers) ServeHTTP(w http.ResponseWriter, r *http.Request) { o.api.ServeHTTP(w, r) }

func (o *openers) ask(t *testing.T, method, path, origin string, body []byte) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	if o.key != "" && method != http.MethodOptions {
		r.Header.Set("Authorization", "Bearer "+o.key)
	}
	w := httptest.NewRecorder()
	o.api.ServeHTTP(w, r)
	return w
}

func TestTemporalsCommandsHavePayloadsOpened(t *testing.T) {
	t.Parallel()
	o := setupCodec(t)
	server := httptest.NewServer(o)
	t.Cleanup(server.Close)
	remote := converter.NewRemotePayloadCodec(converter.RemotePayloadCodecOptions{Endpoint: server.URL + "/codec"})
	sealed, err := codec.Converter(o.keys).ToPayloads("mine", map[string]int{"n": 7})
	require.NoError(t, err)
	opened, err := remote.Decode(sealed.GetPayloads())
	require.NoError(t, err)
	require.Equal(t, `"mine"`, string(opened[0].GetData()))
	require.Equal(t, `{"n":7}`, string(opened[1].GetData()))
	again, err := remote.Encode(opened)
	require.NoError(t, err)
	var text string
	require.NoError(t, codec.Converter(o.keys).FromPayload(again[0], &text))
	require.Equal(t, "mine", text)

	other, err := seal.New(seal.Key{ID: "other", Secret: seal.NewKey()})
	require.NoError(t, err)
	theirs, err := codec.Converter(other).ToPayload("theirs")
	require.NoError(t, err)
	_, err = remote.Decode([]*common.Payload{theirs})
	require.ErrorContains(t, err, `sealed with key \"other\", which is not configured`)
}

func TestOnlyPagesOfTheGivenOriginsHavePayloadsOpened(t *testing.T) {
	t.Parallel()
	o := setupCodec(t)
	w := o.ask(t, http.MethodOptions, "/codec/decode", uiOrigin, nil)
	require.Equal(t, http.StatusNoContent, w.Code)
	require.Equal(t, uiOrigin, w.Header().Get("Access-Control-Allow-Origin"))
	require.Contains(t, w.Header().Get("Access-Control-Allow-Headers"), "X-Namespace")
	require.Empty(t, w.Header().Get("Access-Control-Allow-Credentials"))
	w = o.ask(t, http.MethodPost, "/codec/decode", uiOrigin, []byte(`{"payloads":[]}`))
	require.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
	require.Equal(t, uiOrigin, w.Header().Get("Access-Control-Allow-Origin"))
	require.Equal(t, "Origin", w.Header().Get("Vary"))

	for _, origin := range []string{"http://evil.example.com", "null", "http://ui.example.com", uiOrigin + ".evil.com"} {
		w = o.ask(t, http.MethodPost, "/codec/decode", origin, []byte(`{"payloads":[]}`))
		require.Equal(t, http.StatusForbidden, w.Code, origin)
		require.Empty(t, w.Header().Get("Access-Control-Allow-Origin"))
		w = o.ask(t, http.MethodOptions, "/codec/decode", origin, nil)
		require.Empty(t, w.Header().Get("Access-Control-Allow-Origin"))
	}
	w = o.ask(t, http.MethodPost, "/v1/batches", uiOrigin, []byte(`{}`))
	require.Equal(t, http.StatusForbidden, w.Code, "the origin may use the codec, and nothing else")
}

func TestTheCodecNeedsAnAdministratorsKeyIfThereAreKeys(t *testing.T) {
	t.Parallel()
	for scope, status := range map[apikey.Scope]int{apikey.Admin: http.StatusOK, apikey.Read: http.StatusForbidden} {
		o := setupCodec(t, scope)
		require.Equal(t, http.StatusNoContent, o.ask(t, http.MethodOptions, "/codec/decode", uiOrigin, nil).Code, "browsers send no key ahead")
		require.Equal(t, status, o.ask(t, http.MethodPost, "/codec/decode", uiOrigin, []byte(`{}`)).Code)
		o.key = ""
		w := o.ask(t, http.MethodPost, "/codec/decode", uiOrigin, []byte(`{}`))
		require.Equal(t, http.StatusUnauthorized, w.Code)
		require.Equal(t, uiOrigin, w.Header().Get("Access-Control-Allow-Origin"), "so that the page can show what is wrong")
	}
}

func TestWhatIsNoPayloadIsRefused(t *testing.T) {
	t.Parallel()
	o := setupCodec(t)
	for _, body := range []string{"", "{", `{"payloads":7}`, `{"payloads":[{"metadata":{"encoding":"YmluYXJ5L2hlYWRyYWNlLXNlYWxlZA=="},"data":"AQFh"}]}`} {
		require.Equal(t, http.StatusBadRequest, o.ask(t, http.MethodPost, "/codec/decode", "", []byte(body)).Code, body)
	}
}

func TestWithoutKeysThereIsNoCodec(t *testing.T) {
	t.Parallel()
	plain := &openers{api: api.New(api.Options{Temporal: &temporal{}, Logger: slog.New(slog.DiscardHandler), CodecOrigins: []string{uiOrigin}})}
	require.Equal(t, http.StatusNotFound, plain.ask(t, http.MethodPost, "/codec/decode", uiOrigin, []byte(`{}`)).Code)
}
