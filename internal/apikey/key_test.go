package apikey_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/apikey"
	"github.com/headrace/headrace/internal/secret"
)

func TestAKeyIsTwoHundredFiftySixBitsThatNobodyHasSeenBefore(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		key, hash := apikey.New()
		require.Regexp(t, `^hr_[0-9A-Za-z]{43}$`, key.Reveal())
		require.Regexp(t, `^sha256:[0-9a-f]{64}$`, hash)
		require.False(t, seen[key.Reveal()])
		require.False(t, seen[hash])
		seen[key.Reveal()], seen[hash] = true, true
	}
}

func TestAKeyIsNotPrinted(t *testing.T) {
	t.Parallel()
	key, _ := apikey.New()
	data, err := json.Marshal(map[string]any{"key": key})
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %s %s", key, key, key, key, data), key.Reveal())
}

func TestTheHashOfAKeyIsThatWithWhichItWasMade(t *testing.T) {
	t.Parallel()
	key, hash := apikey.New()
	again, err := apikey.HashOf(key)
	require.NoError(t, err)
	require.Equal(t, hash, again)
	parsed, err := apikey.ParseHash("sha256:" + strings.ToUpper(strings.TrimPrefix(hash, "sha256:")))
	require.NoError(t, err)
	require.Equal(t, hash, parsed)
}

// A plain hash hides only what is random: of a password it is as good as the
// password.
func TestOnlyAKeyOfHeadraceIsHashed(t *testing.T) {
	t.Parallel()
	key, _ := apikey.New()
	for _, text := range []string{
		"", "hunter2", "hr_", "sk-" + key.Reveal()[3:], key.Reveal() + "0", key.Reveal()[1:], key.Reveal()[:45], key.Reveal()[:45] + "-",
		" " + key.Reveal(), key.Reveal() + "\n",
	} {
		_, err := apikey.HashOf(secret.New(text))
		require.ErrorIs(t, err, apikey.ErrNoKey, "%q", text)
	}
}

func TestAHashThatIsNoneIsRefusedWithoutBeingRepeated(t *testing.T) {
	t.Parallel()
	key, hash := apikey.New()
	for _, text := range []string{
		"", "sha256:", "sha512:" + hash[7:], hash[7:], hash + "00", hash + "0", hash[:len(hash)-1], hash[:len(hash)-1] + "g", key.Reveal(),
		" " + hash, "SHA256:" + hash[7:],
	} {
		_, err := apikey.ParseHash(text)
		require.ErrorContains(t, err, "hash: ", "%q", text)
		if text != "" && text != "sha256:" {
			require.NotContains(t, err.Error(), text)
		}
	}
	_, err := apikey.ParseHash(key.Reveal())
	require.ErrorContains(t, err, "headrace key hash")
}
