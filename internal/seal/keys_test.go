package seal_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/seal"
	"github.com/headrace/headrace/internal/secret"
)

// key makes a key of its own for each id.
func key(id string) seal.Key {
	raw := bytes.Repeat([]byte(id+"-"), seal.KeySize)[:seal.KeySize]
	return seal.Key{ID: id, Secret: secret.New(base64.StdEncoding.EncodeToString(raw))}
}

func keys(t require.TestingT, ids ...string) *seal.Keys {
	var all []seal.Key
	for _, id := range ids {
		all = append(all, key(id))
	}
	k, err := seal.New(all...)
	require.NoError(t, err)
	return k
}

func TestAKeyIsTheSameInEveryAlphabet(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte{0xfb, 0xff, 0x01, 0x3e}, 8)
	sealed := keysOf(t, hex.EncodeToString(raw)).Seal([]byte("x"), nil)
	for _, text := range []string{
		base64.StdEncoding.EncodeToString(raw), base64.RawStdEncoding.EncodeToString(raw), base64.URLEncoding.EncodeToString(raw),
		base64.RawURLEncoding.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)), " " + hex.EncodeToString(raw) + "\n",
	} {
		got, err := keysOf(t, text).Open(sealed, nil)
		require.NoError(t, err, text)
		require.Equal(t, "x", string(got))
	}
}

func keysOf(t *testing.T, text string) *seal.Keys {
	t.Helper()
	k, err := seal.New(seal.Key{ID: "k", Secret: secret.New(text)})
	require.NoError(t, err)
	return k
}

func TestANewKeyIsAKeyAndNoOtherOne(t *testing.T) {
	t.Parallel()
	a, b := seal.NewKey(), seal.NewKey()
	require.NotEqual(t, a.Reveal(), b.Reveal())
	_, err := seal.New(seal.Key{ID: "a", Secret: a}, seal.Key{ID: "b", Secret: b})
	require.NoError(t, err)
}

func TestABadKeyIsRefusedWithoutBeingShown(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "hunter2-hunter2", strings.Repeat("z", 64), strings.Repeat("ab", 31), strings.Repeat("ab", 33), base64.StdEncoding.EncodeToString(make([]byte, 32)),
		"Zm9v!mFyYmF6Zm9vYmFyYmF6Zm9vYmFyYmF6Zm9vYmE", base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("q1"), 17)),
	} {
		_, err := seal.New(seal.Key{ID: "k1", Secret: secret.New(text)})
		require.ErrorContains(t, err, `encryption key "k1": is `)
		for i := range max(len(text)-5, 0) {
			require.NotContains(t, err.Error(), text[i:i+6])
		}
	}
}

func TestIDsAreShortAndUnique(t *testing.T) {
	t.Parallel()
	_, err := seal.New()
	require.Error(t, err)
	for _, id := range []string{"", "K", "-k", ".", "a b", "a/b", strings.Repeat("k", 25), "k\x00", "ü"} {
		_, err := seal.New(seal.Key{ID: id, Secret: seal.NewKey()})
		require.ErrorContains(t, err, "id of encryption key 1 is not valid", "%q", id)
	}
	keys(t, strings.Repeat("k", 24), "2026-11", "a.b_c")
	_, err = seal.New(seal.Key{ID: "a", Secret: seal.NewKey()}, seal.Key{ID: "a", Secret: seal.NewKey()})
	require.ErrorContains(t, err, `two encryption keys have the id "a"`)
	same := seal.NewKey()
	_, err = seal.New(seal.Key{ID: "a", Secret: same}, seal.Key{ID: "b", Secret: same})
	require.ErrorContains(t, err, `encryption keys "a" and "b" are the same key`)
}
