package openai_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/openai"
)

// alphabet is what ids are made of after their prefix.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

func TestAnIDIsItsPrefixAnd26Characters(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{openai.PrefixFile, openai.PrefixBatch, openai.PrefixRequest, ""} {
		rest, ok := strings.CutPrefix(openai.NewID(prefix), prefix)
		require.True(t, ok)
		require.Len(t, rest, 26)
		require.Empty(t, strings.Trim(rest, alphabet))
	}
	require.True(t, slices.IsSorted([]byte(alphabet)), "the order of ids is the order of their bytes")
}

func TestIDsAreUniqueAndSortNewestFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // where a millisecond passes at once
		ids := make([]string, 10_000)
		for i := range ids {
			ids[i] = openai.NewID(openai.PrefixBatch)
			time.Sleep(time.Millisecond)
		}
		slices.Reverse(ids)
		require.True(t, slices.IsSorted(ids))
		require.Len(t, slices.Compact(ids), 10_000)
	})
}

func TestIDsSortNewestFirstOverCenturies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // it begins in the year 2000
		first := openai.NewID(openai.PrefixFile)
		time.Sleep(time.Nanosecond)
		next := openai.NewID(openai.PrefixFile)
		time.Sleep(200 * 365 * 24 * time.Hour)
		last := openai.NewID(openai.PrefixFile)
		require.Less(t, next, first)
		require.Less(t, last, next)
	})
}

func TestIDsOfOneMomentDiffer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := map[string]bool{}
		for range 10_000 {
			seen[openai.NewID(openai.PrefixRequest)] = true
		}
		require.Len(t, seen, 10_000)
	})
}

func TestAnIDIsValidWithItsOwnPrefixOnly(t *testing.T) {
	t.Parallel()
	id := openai.NewID(openai.PrefixFile)
	require.True(t, openai.ValidID(openai.PrefixFile, id))
	require.False(t, openai.ValidID(openai.PrefixBatch, id))
	require.False(t, openai.ValidID(openai.PrefixFile, openai.NewID(openai.PrefixBatch)))
	require.False(t, openai.ValidID("", id))
}

func TestWhatNewIDDoesNotMakeIsNotValid(t *testing.T) {
	t.Parallel()
	const prefix = openai.PrefixFile
	id := openai.NewID(prefix)
	rest := id[len(prefix):]
	for _, other := range []string{
		"", prefix, rest, id + "0", id[:len(id)-1], " " + id, id + " ", id + "\n", strings.ToUpper(id), prefix + strings.ToUpper(rest), prefix + prefix + rest,
		prefix + rest[:25] + "\n", prefix + rest[:24] + "\r\n", prefix + "\n\n" + rest[2:], prefix + rest[:24] + "==", prefix + rest[:25] + "=",
		prefix + "../" + rest[3:], prefix + rest[:25] + "/", prefix + rest[:25] + "\x00", prefix + rest[:24] + "ä",
		prefix + strings.Repeat("i", 26), prefix + strings.Repeat("l", 26), prefix + strings.Repeat("o", 26), prefix + strings.Repeat("u", 26),
		"file-abc123", "file-52voABCDEFGHIJKLMNOPQRST", prefix + strings.Repeat("0", 1000),
	} {
		require.False(t, openai.ValidID(prefix, other), "%q", other)
	}
}

// TestAnIDHasOneSpelling changes single characters. The last one stands for two
// bits that no id has set, so not every other character there makes an id.
func TestAnIDHasOneSpelling(t *testing.T) {
	t.Parallel()
	id := []byte(openai.NewID(openai.PrefixFile))
	valid := 0
	for _, c := range []byte(alphabet) {
		id[len(id)-1] = c
		if openai.ValidID(openai.PrefixFile, string(id)) {
			valid++
		}
	}
	require.Equal(t, 8, valid, "three bits")
}

func TestAnyTextThatIsValidIsWhatNewIDCouldHaveMade(t *testing.T) {
	t.Parallel()
	text := rapid.OneOf(rapid.StringN(26, 26, 26), rapid.StringMatching("["+alphabet+"\n=-]{26}"), rapid.StringMatching("["+alphabet+"]{26}"))
	rapid.Check(t, func(t *rapid.T) {
		rest := text.Draw(t, "rest")
		if openai.ValidID(openai.PrefixBatch, openai.PrefixBatch+rest) {
			require.Len(t, rest, 26)
			require.Empty(t, strings.Trim(rest, alphabet))
		}
	})
}

func TestADerivedIDIsValidAndSortsAsItsBitsDo(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		bits := func(name string) [16]byte { return [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, name)) }
		a, b := bits("a"), bits("b")
		one, two := openai.DerivedID(openai.PrefixBatch, a), openai.DerivedID(openai.PrefixBatch, b)
		require.True(t, openai.ValidID(openai.PrefixBatch, one))
		require.Equal(t, slices.Compare(a[:], b[:]), strings.Compare(one, two))
	})
}
