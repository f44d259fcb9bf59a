package seal_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/seal"
)

func TestAValueIsOpenedWithTheDataItBelongsTo(t *testing.T) {
	t.Parallel()
	k := keys(t, "a")
	rapid.Check(t, func(t *rapid.T) {
		plain, associated := rapid.SliceOf(rapid.Byte()).Draw(t, "plain"), rapid.SliceOf(rapid.Byte()).Draw(t, "associated")
		sealed := k.Seal(plain, associated)
		require.Len(t, sealed, len(plain)+46+len("a"))
		got, err := k.Open(sealed, associated)
		require.NoError(t, err)
		require.True(t, bytes.Equal(plain, got))
		_, err = k.Open(sealed, append(associated, 0))
		require.ErrorIs(t, err, seal.ErrForged)
	})
}

func TestSealingTwiceGivesDifferentResultsWithNothingOfTheValue(t *testing.T) {
	t.Parallel()
	k := keys(t, "a")
	plain := []byte("a prompt that nobody should see")
	x, y := k.Seal(plain, nil), k.Seal(plain, nil)
	require.NotEqual(t, x, y)
	require.NotContains(t, string(x), "prompt")
}

func TestTheFirstKeySealsAndAllOpen(t *testing.T) {
	t.Parallel()
	old, both, fresh := keys(t, "old"), keys(t, "new", "old"), keys(t, "new")
	require.Equal(t, "new", both.Sealing())
	for _, sealer := range []*seal.Keys{old, both} {
		got, err := both.Open(sealer.Seal([]byte("x"), nil), nil)
		require.NoError(t, err)
		require.Equal(t, "x", string(got))
	}
	_, err := fresh.Open(both.Seal([]byte("x"), nil), nil)
	require.NoError(t, err)
	_, err = fresh.Open(old.Seal([]byte("x"), nil), nil)
	var unknown *seal.UnknownKeyError
	require.ErrorAs(t, err, &unknown)
	require.Equal(t, "old", unknown.ID)
	require.EqualError(t, err, `sealed with key "old", which is not configured: add it to encryption.keys`)
	_, err = (*seal.Keys)(nil).Open(old.Seal([]byte("x"), nil), nil)
	require.ErrorAs(t, err, &unknown)
}

func TestAChangedOrShortenedValueIsNotOpened(t *testing.T) {
	t.Parallel()
	k := keys(t, "a", "b")
	sealed := k.Seal([]byte("value"), []byte("x"))
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		_, err := k.Open(changed, []byte("x"))
		require.Error(t, err, "byte %d", i)
		_, err = k.Open(sealed[:i], []byte("x"))
		require.ErrorIs(t, err, seal.ErrForged, "%d bytes", i)
	}
}

func FuzzOpeningWhatNobodySealed(f *testing.F) {
	k := keys(f, "a")
	f.Add(k.Seal([]byte("x"), nil))
	f.Add([]byte{1, 255})
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := k.Open(data, []byte("never used")); err == nil {
			t.Errorf("opened %q", got)
		}
	})
}
