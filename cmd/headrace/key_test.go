package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/headrace/headrace/internal/apikey"
	"github.com/headrace/headrace/internal/openai"
)

// ringOf is the ring that a configuration makes with an entry of `key new`.
func ringOf(t *testing.T, entry string) (*apikey.Ring, error) {
	t.Helper()
	var file struct {
		API struct {
			Keys []struct {
				Name, Project, Hash string
				Scopes              []apikey.Scope
				Expires             time.Time
			}
		}
	}
	decoder := yaml.NewDecoder(strings.NewReader("api:\n  keys:\n" + entry))
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(&file))
	keys := make([]apikey.Key, len(file.API.Keys))
	for i, k := range file.API.Keys {
		keys[i] = apikey.Key{Name: k.Name, Project: k.Project, Hash: k.Hash, Scopes: k.Scopes, Expires: k.Expires}
	}
	return apikey.NewRing(keys)
}

// The key can be caught in a variable, and all the rest be pasted as it stands.
func TestANewKeyStandsAloneAndItsEntryCanBePasted(t *testing.T) {
	t.Parallel()
	r := command(t, nil, "key", "new", "--name", "7", "--project", "shop", "--scopes", "submit,operate", "--expires", "2999-01-01")
	require.Equal(t, 0, r.code, r.stderr)
	require.Regexp(t, `^hr_[0-9A-Za-z]{43}\n$`, r.stdout)
	key := strings.TrimSpace(r.stdout)
	require.NotContains(t, r.stderr, key)
	ring, err := ringOf(t, r.stderr)
	require.NoError(t, err)
	who, err := ring.Find(key, time.Now())
	require.NoError(t, err)
	require.Equal(t, []string{"7", "shop"}, []string{who.Name, who.Project})
	require.True(t, who.May(apikey.Submit) && who.May(apikey.Operate))
	require.False(t, who.May(apikey.Read) || who.May(apikey.Admin))
	_, err = ring.Find(key, time.Date(2999, time.January, 1, 0, 0, 0, 0, time.UTC))
	require.ErrorIs(t, err, apikey.ErrExpired)
}

func TestANewKeySubmitsAndReadsForTheDefaultProjectForever(t *testing.T) {
	t.Parallel()
	r := command(t, nil, "key", "new", "--name", "no")
	require.Equal(t, 0, r.code, r.stderr)
	ring, err := ringOf(t, r.stderr)
	require.NoError(t, err)
	who, err := ring.Find(strings.TrimSpace(r.stdout), time.Now().AddDate(1000, 0, 0))
	require.NoError(t, err)
	require.Equal(t, "default", who.Project)
	require.True(t, who.May(apikey.Submit) && who.May(apikey.Read))
	require.False(t, who.May(apikey.Operate))
}

func TestANewKeyIsPrintedAsJSON(t *testing.T) {
	t.Parallel()
	r := command(t, nil, "key", "new", "--name", "web", "--scopes", "admin", "--expires", "2999-01-01T12:00:00+01:00", "--json")
	require.Equal(t, 0, r.code, r.stderr)
	require.Empty(t, r.stderr)
	var got map[string]any
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &got))
	hash, err := apikey.ParseHash(got["hash"].(string))
	require.NoError(t, err)
	hashed := commandOn(t, got["key"].(string), nil, "key", "hash")
	require.Equal(t, hash+"\n", hashed.stdout)
	delete(got, "hash")
	delete(got, "key")
	require.Equal(t, map[string]any{
		"name": "web", "project": "default", "scopes": []any{"admin"}, "expires": "2999-01-01T11:00:00Z",
	}, got)
}

func TestAKeyThatNoServerWouldTakeIsNotMade(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		says string
		args []string
	}{
		{"--name is missing", nil},
		{`--name: "a b" is no name`, []string{"--name", "a b"}},
		{`--project: ".." is no name`, []string{"--name", "a", "--project", ".."}},
		{`--scopes: there is no scope "write"; there are submit, read, operate, admin`, []string{"--name", "a", "--scopes", "read,write"}},
		{"--scopes: the key allows nothing", []string{"--name", "a", "--scopes", ""}},
		{"--expires: 2020-01-01 has passed", []string{"--name", "a", "--expires", "2020-01-01"}},
		{`--expires: "soon" is neither a day`, []string{"--name", "a", "--expires", "soon"}},
		{"unknown command", []string{"more"}},
	} {
		r := command(t, nil, append([]string{"key", "new"}, c.args...)...)
		require.Equal(t, 2, r.code, c.says)
		require.Contains(t, r.stderr, c.says)
		require.Empty(t, r.stdout)
	}
}

func TestAKeyIsHashedAsItWasWhenItWasMade(t *testing.T) {
	t.Parallel()
	made := command(t, nil, "key", "new", "--name", "web")
	r := commandOn(t, made.stdout+"and more\n", nil, "key", "hash")
	require.Equal(t, 0, r.code, r.stderr)
	require.Contains(t, made.stderr, strings.TrimSpace(r.stdout))

	for _, text := range []string{"", "\n", "sk-proj-hunter2", strings.Repeat("x", 100_000)} {
		r := commandOn(t, text, nil, "key", "hash")
		require.Equal(t, 1, r.code)
		require.Contains(t, r.stderr, "not a key of headrace")
		require.NotContains(t, r.stderr, "hunter2")
		require.Empty(t, r.stdout)
	}
}

// keyServer refuses every request with a status, and keeps what it was shown.
func keyServer(t *testing.T, status int) (url string, shown *[]string) {
	t.Helper()
	shown = &[]string{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*shown = append(*shown, r.Header.Get("Authorization"))
		w.WriteHeader(status)
		if err := json.NewEncoder(w).Encode(openai.Envelope{Error: openai.InvalidRequest("", "", "No.")}); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, shown
}

func TestCommandsShowTheKeyOfTheEnvironment(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte("hr_of_a_file\n"), 0o600))
	input := filepath.Join(t.TempDir(), "in.jsonl")
	require.NoError(t, os.WriteFile(input, []byte("{}\n"), 0o600))
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{}, ""},
		{map[string]string{"HEADRACE_API_KEY": " hr_x\n"}, "Bearer hr_x"},
		{map[string]string{"HEADRACE_API_KEY_FILE": file}, "Bearer hr_of_a_file"},
	} {
		for _, args := range [][]string{{"queue", "ls"}, {"queue", "pause", "q"}, {"run", input}} {
			url, shown := keyServer(t, http.StatusUnauthorized)
			r := command(t, c.env, append(args, "--server", url)...)
			require.Equal(t, 1, r.code)
			require.Equal(t, []string{c.want}, *shown, "%v", args)
			require.Contains(t, r.stderr, "No.")
			require.Contains(t, r.stderr, "Set HEADRACE_API_KEY, or HEADRACE_API_KEY_FILE, to a key that this server knows.", "%v", args)
			require.NotContains(t, r.stdout+r.stderr, "hr_")
		}
	}
}

func TestAKeyThatAllowsTooLittleGetsTheNextStep(t *testing.T) {
	t.Parallel()
	url, _ := keyServer(t, http.StatusForbidden)
	r := command(t, map[string]string{"HEADRACE_API_KEY": "hr_x"}, "queue", "ls", "--server", url)
	require.Equal(t, 1, r.code)
	require.Contains(t, r.stderr, "headrace key new --scopes")
}

func TestAKeyOfTheEnvironmentThatCannotBeReadIsNamed(t *testing.T) {
	t.Parallel()
	url, shown := keyServer(t, http.StatusOK)
	for _, env := range []map[string]string{
		{"HEADRACE_API_KEY_FILE": "/nowhere/key"}, {"HEADRACE_API_KEY": "hr_x", "HEADRACE_API_KEY_FILE": "/nowhere/key"},
	} {
		r := command(t, env, "queue", "ls", "--server", url)
		require.Equal(t, 2, r.code)
		require.Contains(t, r.stderr, "HEADRACE_API_KEY_FILE")
		require.NotContains(t, r.stderr, "hr_x")
	}
	require.Empty(t, *shown)
}
