package store_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/seal"
	"github.com/headrace/headrace/internal/store"
)

// sealed is the beginning of every object that is sealed.
const sealed = "\x89hrseal\x01"

// TestNothingOfWhatIsSealedCanBeReadOnTheDisk writes a marker by every way there
// is, and looks for it, and for the key, in all files.
func TestNothingOfWhatIsSealedCanBeReadOnTheDisk(t *testing.T) {
	t.Parallel()
	const marker = "the marker that must not be seen"
	k := keys(t, "k1")
	b := setupFolder(t, store.Options{Keys: k})
	require.NoError(t, b.Put(t.Context(), "put", []byte(marker)))
	require.NoError(t, b.PutNew(t.Context(), "new", []byte(marker)))
	require.NoError(t, b.PutJSON(t.Context(), "json", map[string]string{"x": marker}))
	require.NoError(t, b.MarkQueue(t.Context(), "queue"))
	f := newFile()
	f.Filename = marker
	w, err := b.CreateFileData(t.Context(), project, f.ID)
	require.NoError(t, err)
	for range 10_000 {
		_, err := io.WriteString(w, marker)
		require.NoError(t, err)
	}
	unfinished := b.write(t.Context(), t, "unfinished", strings.Repeat(marker, 10_000))
	requireSealed(t, b, marker)
	unfinished.Abort()
	require.NoError(t, w.Commit())
	require.NoError(t, b.SaveFile(t.Context(), project, f))
	require.Len(t, b.paths(t), 6)
	requireSealed(t, b, marker)
}

// requireSealed looks into all files of the disk.
func requireSealed(t *testing.T, b *testBundle, marker string) {
	t.Helper()
	for _, path := range b.paths(t) {
		data, err := os.ReadFile(filepath.Join(b.dir, path))
		require.NoError(t, err)
		if len(data) == 0 && strings.HasSuffix(path, ".tmp") {
			continue // of which nothing has been written yet
		}
		require.True(t, strings.HasPrefix(string(data), sealed), path)
		require.Contains(t, string(data[:seal.HeadSize]), "k1", "the key is named")
		require.NotContains(t, string(data), marker, path)
		require.NotContains(t, string(data), "marker", path)
	}
}

func TestEncryptionCanBeSwitchedOnAndKeysReplaced(t *testing.T) {
	t.Parallel()
	for kind, setup := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			plain := setup(t, store.Options{})
			with := plain.with(t)
			first, both, second := with(keys(t, "k1")), with(keys(t, "k2", "k1")), with(keys(t, "k2"))
			require.NoError(t, plain.Put(t.Context(), "0", []byte("plain")))
			require.NoError(t, first.Put(t.Context(), "1", []byte("with k1")))
			require.NoError(t, both.Put(t.Context(), "2", []byte("with k2")))
			for key, want := range map[string]string{"0": "plain", "1": "with k1", "2": "with k2"} {
				got, err := both.Get(t.Context(), key)
				require.NoError(t, err)
				require.Equal(t, want, string(got))
			}
			_, err := first.Get(t.Context(), "2")
			require.EqualError(t, err, `read 2: sealed with key "k2", which is not configured: add it to encryption.keys`)
			require.NotErrorIs(t, err, store.ErrNotFound)
			_, err = second.Range(t.Context(), "1", 0, 1)
			require.ErrorContains(t, err, `sealed with key "k1", which is not configured`)
			_, err = plain.Reader(t.Context(), "1", 500_000, 1)
			require.ErrorContains(t, err, `sealed with key "k1", which is not configured`)
			got, err := second.Get(t.Context(), "2")
			require.NoError(t, err)
			require.Equal(t, "with k2", string(got))

			require.NoError(t, both.Put(t.Context(), "0", []byte("sealed now")))
			_, err = plain.Get(t.Context(), "0")
			require.ErrorContains(t, err, `sealed with key "k2"`)
			require.Equal(t, []string{"0", "1", "2"}, collect(t, plain.Keys(t.Context(), "")), "keys are no secret")
			require.NoError(t, plain.Delete(t.Context(), "1"))
		})
	}
}

// TestAnObjectInAnothersPlaceIsAnError has somebody at work who can write to the
// disk.
func TestAnObjectInAnothersPlaceIsAnError(t *testing.T) {
	t.Parallel()
	b := setupFolder(t, store.Options{Keys: keys(t, "k1")})
	require.NoError(t, b.Put(t.Context(), "mine", []byte("my answer")))
	require.NoError(t, b.Put(t.Context(), "yours", []byte("your answer")))
	mine, yours := filepath.Join(b.dir, "mine"), filepath.Join(b.dir, "yours")
	require.NoError(t, os.Rename(mine, yours))
	_, err := b.Get(t.Context(), "yours")
	require.ErrorIs(t, err, seal.ErrForged)
	require.ErrorContains(t, err, "read yours: ")
	require.NoError(t, os.Rename(yours, mine))
	require.NoError(t, os.Truncate(mine, int64(seal.HeadSize)))
	_, err = b.Get(t.Context(), "mine")
	require.ErrorIs(t, err, seal.ErrForged)
}

// TestAPlainObjectThatLooksSealedIsReadAsItIs uploads what was taken from an
// encrypted store to one that is not encrypted.
func TestAPlainObjectThatLooksSealedIsReadAsItIs(t *testing.T) {
	t.Parallel()
	plain := setup(t)
	encrypted := plain.with(t)(keys(t, "k1"))
	require.NoError(t, encrypted.Put(t.Context(), "sealed", bytes.Repeat([]byte("x"), 300_000)))
	data, err := os.ReadFile(filepath.Join(plain.dir, "sealed"))
	require.NoError(t, err)
	require.NoError(t, plain.Put(t.Context(), "copy", data))
	for _, s := range []*store.Store{plain.Store, encrypted} {
		got, err := s.Get(t.Context(), "copy")
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got))
		got, err = s.Range(t.Context(), "copy", 200_000, 1000)
		require.NoError(t, err)
		require.True(t, bytes.Equal(data[200_000:201_000], got))
	}
}

func TestEveryRangeOfALargeObjectIsRead(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		data := make([]byte, 500_000)
		for i := range data {
			data[i] = byte(i * i >> 7)
		}
		require.NoError(t, b.Put(t.Context(), "k", data))
		rapid.Check(t, func(rt *rapid.T) {
			offset := rapid.Int64Range(0, int64(len(data))).Draw(rt, "offset")
			length := rapid.Int64Range(0, int64(len(data))-offset).Draw(rt, "length")
			got, err := b.Range(t.Context(), "k", offset, length)
			require.NoError(rt, err)
			require.True(rt, bytes.Equal(data[offset:offset+length], got))
			r, err := b.Reader(t.Context(), "k", offset, -1)
			require.True(rt, bytes.Equal(data[offset:], read(rt, r, err)))
		})
		_, err := b.Range(t.Context(), "k", int64(len(data)), 1)
		require.Error(t, err)
		_, err = b.Range(t.Context(), "k", 300_000, 300_000)
		require.Error(t, err, "whole or not at all")
		_, err = b.Reader(t.Context(), "none", 300_000, 1)
		require.ErrorIs(t, err, store.ErrNotFound)
	})
}

func TestSizesThatUsersSeeAreThoseOfTheContent(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		f, m := b.output(t, strings.Repeat("a", 100_000), "b")
		require.Equal(t, int64(100_001), m.Bytes())
		r, err := b.OpenFile(t.Context(), project, f, 99_999, 2)
		require.Equal(t, "ab", string(read(t, r, err)))
	})
}

func BenchmarkStore(b *testing.B) {
	for _, size := range []int{1 << 10, 4 << 20} {
		data := bytes.Repeat([]byte("x"), size)
		for name, o := range map[string]store.Options{"plain": {}, "sealed": {Keys: keys(b, "k1")}} {
			s := openWith(b, b.TempDir(), o)
			b.Run(fmt.Sprintf("Put/%d/%s", size, name), func(b *testing.B) {
				b.SetBytes(int64(size))
				for b.Loop() {
					if err := s.Put(b.Context(), openai.NewID(""), data); err != nil {
						b.Fatal(err)
					}
				}
			})
			if err := s.Put(b.Context(), "k", data); err != nil {
				b.Fatal(err)
			}
			b.Run(fmt.Sprintf("Get/%d/%s", size, name), func(b *testing.B) {
				b.SetBytes(int64(size))
				for b.Loop() {
					if _, err := s.Get(b.Context(), "k"); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
