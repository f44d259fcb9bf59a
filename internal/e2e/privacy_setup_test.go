package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/apikey"
	"github.com/headrace/headrace/internal/seal"
	"github.com/headrace/headrace/internal/simulator"
)

// needle is a text that must not be found in any of its forms.
type needle struct {
	what  string
	forms [][]byte
}

// newNeedle is a text plain, in base64 wherever in a longer text it stands, in
// hex, as part of JSON, of JSON in JSON, and of a URL.
func newNeedle(what, text string) needle {
	once, _ := json.Marshal(text)
	twice, _ := json.Marshal(string(once[1 : len(once)-1]))
	forms := map[string]bool{
		text: true, string(once[1 : len(once)-1]): true, string(twice[1 : len(twice)-1]): true,
		url.QueryEscape(text): true, url.PathEscape(text): true,
		hex.EncodeToString([]byte(text)): true, strings.ToUpper(hex.EncodeToString([]byte(text))): true,
	}
	for before := range 3 {
		const bits, digit, group = 8, 6, 3
		padded := append(make([]byte, before), text...)
		whole := (len(padded) / group) * group // the last group may go on with what follows
		for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			forms[e.EncodeToString(padded[:whole])[(before*bits+digit-1)/digit:]] = true
		}
	}
	n := needle{what: what}
	for form := range forms {
		n.forms = append(n.forms, []byte(form))
	}
	return n
}

// in reports whether the text is in a haystack.
func (n needle) in(hay []byte) bool {
	for _, form := range n.forms {
		if bytes.Contains(hay, form) {
			return true
		}
	}
	return false
}

// hay is everything that may be searched, by its name.
type hay map[string][]byte

// add adds all files below a folder.
func (h hay) add(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		h[path] = append([]byte(path+"\n"), content...)
		return err
	}))
}

// with returns the names of those below a prefix that have a needle.
func (h hay) with(prefix string, n needle) []string {
	var found []string
	for name, content := range h {
		if strings.HasPrefix(name, prefix) && n.in(content) {
			found = append(found, name)
		}
	}
	return found
}

// vault is a headrace whose secrets are known, and what it is told in confidence.
type vault struct {
	*system

	process        *process
	dir            string
	receiver       *receiver
	auth           string // the header that shows the API key
	secrets        []needle
	private        string // is part of everything that users send
	telemetry      string // URL
	found          hay
	called, header string // what the provider was sent as key and header
	mu             sync.Mutex
}

// Secrets that are not made at random. Some characters are escaped by JSON.
const (
	providerKey  = "sk-proj-7f3Wc0nfidentialProviderKey"
	headerSecret = `team <&"confidential-header-value">`
)

// newVault starts all of headrace with every secret that there is.
func newVault(t *testing.T, sealed bool) *vault {
	t.Helper()
	v := &vault{dir: t.TempDir(), receiver: newReceiver(t, nil), private: "Pr1vateMarkerOfAPrompt", found: hay{}}
	up := sim(t, simulator.Options{})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		v.called, v.header = r.Header.Get("Authorization"), r.Header.Get("X-Team")
		v.mu.Unlock()
		up.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	key, hash := apikey.New()
	sealing := seal.NewKey().Reveal()
	config := fmt.Sprintf("api:\n  keys: [{name: web, scopes: [submit, read, operate], hash: %q}]\n"+
		"providers: [{name: main, base_url: %q, key_env: PROVIDER_KEY, headers: {X-Team: %q}}]\n"+
		"telemetry: {listen: '127.0.0.1:0', log: {level: debug}}\n", hash, front.URL+"/v1", headerSecret)
	if sealed {
		config += "encryption: {keys: [{id: k1, key_env: SEALING_KEY}]}\n"
	}
	env := []string{
		"PROVIDER_KEY=" + providerKey, "SEALING_KEY=" + sealing, "HEADRACE_WEBHOOK_SECRET=" + hookSecret,
		"HEADRACE_ALLOWED_PRIVATE=127.0.0.1", "HEADRACE_ALLOWED_HOSTS=127.0.0.1",
	}
	v.process = start(t, env, "dev", "--listen", "127.0.0.1:0", "--temporal-port", "0", "--ui-port", "0", "--data", v.dir,
		"--config", write(t, "headrace.yaml", config))
	v.system = &system{url: v.process.await(v.process.stdout, `API (http://\S+)/v1`), upstream: up}
	v.telemetry = v.process.await(v.process.stdout, `metrics (http://[^/\s]+)`)
	v.auth = "Authorization: Bearer " + key.Reveal()
	raw, err := base64.StdEncoding.DecodeString(sealing)
	require.NoError(t, err)
	signing, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(hookSecret, "whsec_"))
	require.NoError(t, err)
	v.secrets = []needle{
		newNeedle("provider key", providerKey), newNeedle("value of a header", headerSecret), newNeedle("API key", key.Reveal()),
		newNeedle("webhook secret", hookSecret), newNeedle("bytes of the webhook secret", string(signing)),
		newNeedle("encryption key", sealing), newNeedle("bytes of the encryption key", string(raw)),
	}
	return v
}

// ask sends a request with the API key. What fails is kept to be searched.
func (v *vault) ask(t *testing.T, method, path, body string, headers ...string) reply {
	t.Helper()
	r := v.send(t, method, path, body, append(headers, v.auth)...)
	if r.status >= http.StatusBadRequest {
		v.found["answer to "+method+" "+path] = r.body
	}
	return r
}
