package apikey_test

import (
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/apikey"
)

// now is when tests show keys.
var now = time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC)

// newKey is a key that may be configured, and what is shown for it.
func newKey(name, project string, scopes ...apikey.Scope) (apikey.Key, string) {
	key, hash := apikey.New()
	return apikey.Key{Name: name, Project: project, Hash: hash, Scopes: scopes}, key.Reveal()
}

func TestAKeyNamesItsProjectAndWhatItAllows(t *testing.T) {
	t.Parallel()
	web, webKey := newKey("web", "shop", apikey.Submit, apikey.Read)
	boss, bossKey := newKey("boss", "ops", apikey.Admin)
	ring, err := apikey.NewRing([]apikey.Key{web, boss})
	require.NoError(t, err)

	who, err := ring.Find(webKey, now)
	require.NoError(t, err)
	require.Equal(t, []string{"web", "shop"}, []string{who.Name, who.Project})
	require.True(t, who.May(apikey.Submit))
	require.True(t, who.May(apikey.Read))
	require.False(t, who.May(apikey.Operate))
	require.False(t, who.May(apikey.Admin))

	who, err = ring.Find(bossKey, now)
	require.NoError(t, err)
	require.Equal(t, "ops", who.Project)
	for _, scope := range apikey.Scopes() {
		require.True(t, who.May(scope), scope)
	}
}

func TestAKeyStopsToWorkWhenItExpires(t *testing.T) {
	t.Parallel()
	k, shown := newKey("web", "shop", apikey.Read)
	k.Expires = now
	ring, err := apikey.NewRing([]apikey.Key{k})
	require.NoError(t, err)
	_, err = ring.Find(shown, now.Add(-1))
	require.NoError(t, err)
	who, err := ring.Find(shown, now)
	require.ErrorIs(t, err, apikey.ErrExpired)
	require.Equal(t, "web", who.Name)
}

func TestNobodyIsAnybodyWithoutAScope(t *testing.T) {
	t.Parallel()
	for _, scope := range apikey.Scopes() {
		require.False(t, apikey.Identity{}.May(scope))
	}
}

func TestWithoutKeysThereIsNoRing(t *testing.T) {
	t.Parallel()
	ring, err := apikey.NewRing(nil)
	require.NoError(t, err)
	require.Nil(t, ring)
}

// Whatever is near a key in any way is not that key.
func TestAWrongKeyNeverMatches(t *testing.T) {
	t.Parallel()
	var keys []apikey.Key
	shown := map[string]string{}
	for _, name := range []string{"a", "b", "c"} {
		k, text := newKey(name, "p", apikey.Read)
		keys, shown[text] = append(keys, k), name
	}
	texts := make([]string, 0, len(shown))
	for text := range shown {
		texts = append(texts, text)
	}
	ring, err := apikey.NewRing(keys)
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(rapid.SampledFrom(texts).Draw(t, "key"))
		switch rapid.IntRange(0, 5).Draw(t, "how") {
		case 0:
			i := rapid.IntRange(0, len(text)-1).Draw(t, "at")
			text[i] = rapid.Byte().Draw(t, "byte")
		case 1:
			text = text[:rapid.IntRange(0, len(text)).Draw(t, "length")]
		case 2:
			text = append(text, rapid.SliceOfN(rapid.Byte(), 1, 8).Draw(t, "more")...)
		case 3:
			i := rapid.IntRange(0, len(text)-2).Draw(t, "at")
			text[i], text[i+1] = text[i+1], text[i]
		case 4:
			text = []byte(rapid.String().Draw(t, "anything"))
		default:
			sum := sha256.Sum256(text) // who has read the configuration
			text = []byte("sha256:" + hex.EncodeToString(sum[:]))
		}
		who, err := ring.Find(string(text), now)
		if name, right := shown[string(text)]; right {
			require.NoError(t, err)
			require.Equal(t, name, who.Name)
			return
		}
		require.ErrorIs(t, err, apikey.ErrUnknown)
		require.Equal(t, apikey.Identity{}, who)
	})
}

func TestAKeyThatCannotBeConfiguredIsRefused(t *testing.T) {
	t.Parallel()
	good, text := newKey("web", "shop", apikey.Read)
	other, _ := newKey("other", "shop", apikey.Read)
	for name, test := range map[string]struct {
		change func(k *apikey.Key)
		says   string
	}{
		"no name":              {func(k *apikey.Key) { k.Name = "" }, `key number 2: name: "" is no name: use 1 to 64 letters`},
		"a key for a name":     {func(k *apikey.Key) { k.Name = text }, "key number 2: name: this is a key"},
		"a name with a slash":  {func(k *apikey.Key) { k.Name = "a/b" }, `key "a/b": name: "a/b" is no name`},
		"a name that is taken": {func(k *apikey.Key) { k.Name = "web" }, `key "web": name: another key has it`},
		"no project":           {func(k *apikey.Key) { k.Project = "" }, `key "other": project: "" is no name`},
		"a path":               {func(k *apikey.Key) { k.Project = ".." }, `key "other": project: ".." is no name`},
		"a key for a project":  {func(k *apikey.Key) { k.Project = text }, `key "other": project: this is a key`},
		"a project in capitals": {func(k *apikey.Key) { k.Project = "SHOP" },
			`key "other": project: "SHOP" and "shop" are too much alike`},
		"no scopes":            {func(k *apikey.Key) { k.Scopes = nil }, `key "other": scopes: the key allows nothing; give it some of submit, read, operate, admin`},
		"an unknown scope":     {func(k *apikey.Key) { k.Scopes = []apikey.Scope{"write"} }, `key "other": scopes: there is no scope "write"; there are submit, read, operate, admin`},
		"a key for a scope":    {func(k *apikey.Key) { k.Scopes = []apikey.Scope{apikey.Scope(text)} }, `key "other": scopes: this is a key`},
		"no hash":              {func(k *apikey.Key) { k.Hash = "" }, `key "other": hash: expected sha256:`},
		"the key for the hash": {func(k *apikey.Key) { k.Hash = text }, `key "other": hash: this is a key; configure what 'headrace key hash' makes of it`},
		"a hash that is taken": {func(k *apikey.Key) { k.Hash = good.Hash }, `key "other": hash: it is that of key "web", too`},
	} {
		k := other
		test.change(&k)
		_, err := apikey.NewRing([]apikey.Key{good, k})
		require.ErrorContains(t, err, test.says, name)
		require.NotContains(t, err.Error(), text, name)
	}
}

func TestScopesAreReadWithCommasBetweenThem(t *testing.T) {
	t.Parallel()
	scopes, err := apikey.ParseScopes(" submit, read,")
	require.NoError(t, err)
	require.Equal(t, []apikey.Scope{apikey.Submit, apikey.Read}, scopes)
	_, err = apikey.ParseScopes("")
	require.Error(t, err)
	_, err = apikey.ParseScopes("Read")
	require.ErrorContains(t, err, `"Read"`)
}

func TestAKeyExpiresOnADayOrAtATime(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Time{
		"":                          {},
		"2027-01-31":                time.Date(2027, time.January, 31, 0, 0, 0, 0, time.UTC),
		"2027-01-31T12:00:00+01:00": time.Date(2027, time.January, 31, 11, 0, 0, 0, time.UTC),
	} {
		got, err := apikey.ParseExpiry(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"soon", "2027-02-30", "31.01.2027", "2027-01-31 12:00"} {
		_, err := apikey.ParseExpiry(text)
		require.ErrorContains(t, err, "expires: ", text)
	}
}

func BenchmarkFind(b *testing.B) {
	var keys []apikey.Key
	var texts []string
	for i := range 100 {
		k, text := newKey("k"+string(rune('a'+i%26))+string(rune('a'+i/26)), "p", apikey.Read)
		keys, texts = append(keys, k), append(texts, text)
	}
	ring, err := apikey.NewRing(keys)
	require.NoError(b, err)
	for b.Loop() {
		if _, err := ring.Find(texts[rand.IntN(len(texts))], now); err != nil {
			b.Fatal(err)
		}
	}
}
