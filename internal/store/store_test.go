package store_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/store"
)

func TestWhatIsPutIsRead(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		for key, data := range map[string][]byte{
			"a": []byte("bytes"), "some/way/down": {0, 1, 0xff}, "empty": {}, "large": bytes.Repeat([]byte("0123456789"), 1<<20),
			"with spaces, ümläuts & signs": []byte("x"),
		} {
			require.NoError(t, b.Put(t.Context(), key, data))
			got, err := b.Get(t.Context(), key)
			require.NoError(t, err)
			require.True(t, bytes.Equal(data, got), key)
			exists, err := b.Exists(t.Context(), key)
			require.NoError(t, err)
			require.True(t, exists)
		}
	})
}

func TestJSONIsPutAndRead(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		type object struct{ N int }
		require.NoError(t, b.PutJSON(t.Context(), "o", object{7}))
		var got object
		require.NoError(t, b.GetJSON(t.Context(), "o", &got))
		require.Equal(t, object{7}, got)

		require.ErrorContains(t, b.PutJSON(t.Context(), "p", func() {}), "encode p: ")
		require.ErrorIs(t, b.GetJSON(t.Context(), "p", &got), store.ErrNotFound, "nothing was written")
		require.NoError(t, b.Put(t.Context(), "broken", []byte(`{"N":`)))
		require.ErrorContains(t, b.GetJSON(t.Context(), "broken", &got), "decode broken: ")
	})
}

func TestAPartOfAnObjectIsRead(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		data := []byte("0123456789")
		require.NoError(t, b.Put(t.Context(), "k", data))
		for offset := range int64(len(data) + 1) {
			for length := range int64(len(data)) + 1 - offset {
				want := string(data[offset : offset+length])
				got, err := b.Range(t.Context(), "k", offset, length)
				require.NoError(t, err)
				require.Equal(t, want, string(got))
				r, err := b.Reader(t.Context(), "k", offset, length)
				require.Equal(t, want, string(read(t, r, err)))
			}
			r, err := b.Reader(t.Context(), "k", offset, -1)
			require.Equal(t, string(data[offset:]), string(read(t, r, err)), "to the end")
		}
	})
}

func TestARangeIsReadWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		require.NoError(t, b.Put(t.Context(), "k", []byte("0123456789")))
		for _, beyond := range [][2]int64{{0, 11}, {9, 2}, {10, 1}, {11, 1}, {1 << 40, 1}} {
			got, err := b.Range(t.Context(), "k", beyond[0], beyond[1])
			require.ErrorContains(t, err, "read k: ", "%v", beyond)
			require.NotErrorIs(t, err, store.ErrNotFound)
			require.Nil(t, got)
		}
		r, err := b.Reader(t.Context(), "k", 8, 100)
		require.Equal(t, "89", string(read(t, r, err)), "a reader gives what there is")
	})
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		require.NoError(t, b.Put(t.Context(), "folder/k", nil))
		for _, key := range []string{"nothing", "folder", "folder/", "folder/k/deeper", ""} {
			_, err := b.Get(t.Context(), key)
			require.Error(t, err, key)
			if key != "" && key != "folder/k/deeper" {
				require.ErrorIs(t, err, store.ErrNotFound, key)
				require.ErrorContains(t, err, key)
			}
		}
		_, err := b.Range(t.Context(), "nothing", 0, 1)
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = b.Reader(t.Context(), "nothing", 0, -1)
		require.ErrorIs(t, err, store.ErrNotFound)
		exists, err := b.Exists(t.Context(), "nothing")
		require.NoError(t, err)
		require.False(t, exists)
	})
}

func TestADeletedObjectIsGoneAndMayBeDeletedAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		require.NoError(t, b.Put(t.Context(), "k", []byte("x")))
		require.NoError(t, b.Delete(t.Context(), "k"))
		require.NoError(t, b.Delete(t.Context(), "k"))
		_, err := b.Get(t.Context(), "k")
		require.ErrorIs(t, err, store.ErrNotFound)
		require.Empty(t, b.paths(t))
	})
}

func TestKeysAreListedByPrefixInOrder(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		want := []string{"a", "b/1", "b/10", "b/2", "b/c/1", "b/c/2", "ba", "c"}
		for _, key := range []string{"c", "b/2", "b/c/2", "a", "b/10", "ba", "b/c/1", "b/1"} {
			require.NoError(t, b.Put(t.Context(), key, nil))
		}
		require.Equal(t, want, collect(t, b.Keys(t.Context(), "")))
		require.Equal(t, want[1:7], collect(t, b.Keys(t.Context(), "b")), "a prefix need not end in a slash")
		require.Equal(t, want[1:6], collect(t, b.Keys(t.Context(), "b/")))
		require.Equal(t, want[1:3], collect(t, b.Keys(t.Context(), "b/1")))
		require.Empty(t, collect(t, b.Keys(t.Context(), "d")))
		require.Empty(t, collect(t, b.Keys(t.Context(), "b/c/1/")))
		for key, err := range b.Keys(t.Context(), "b/") {
			require.NoError(t, err)
			require.Equal(t, "b/1", key)
			break // a listing may be left early
		}
	})
}

func TestMoreKeysThanAPageAreAllListedInOrder(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		const n = 2100 // fileblob lists a thousand at a time
		var wg sync.WaitGroup
		for part := range 4 {
			wg.Go(func() {
				for i := part; i < n; i += 4 {
					if err := b.Put(t.Context(), fmt.Sprintf("keys/%04d", i), nil); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		keys := collect(t, b.Keys(t.Context(), "keys/"))
		require.Len(t, keys, n)
		require.True(t, slices.IsSorted(keys))
		require.Len(t, slices.Compact(keys), n)
	})
}

func TestAnOverwrittenObjectIsReadOldOrNewAndNeverMixed(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		versions := [][]byte{bytes.Repeat([]byte("a"), 100_000), bytes.Repeat([]byte("b"), 150_000), []byte("c"), {}}
		require.NoError(t, b.Put(t.Context(), "k", versions[0]))
		ctx, stop := context.WithCancel(t.Context())
		var readers sync.WaitGroup
		for range 3 {
			readers.Go(func() {
				for reads := 0; ctx.Err() == nil || reads == 0; reads++ {
					got, err := b.Get(context.WithoutCancel(ctx), "k")
					if err != nil {
						t.Error(err)
					} else if !slices.ContainsFunc(versions, func(v []byte) bool { return bytes.Equal(v, got) }) {
						t.Errorf("read %d bytes that were never written", len(got))
					}
				}
			})
		}
		for i := range 100 {
			require.NoError(t, b.Put(t.Context(), "k", versions[i%len(versions)]))
		}
		stop()
		readers.Wait()
	})
}

func TestAReaderKeepsToTheVersionThatItOpened(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		require.NoError(t, b.Put(t.Context(), "k", []byte("old")))
		r, err := b.Reader(t.Context(), "k", 0, -1)
		require.NoError(t, err)
		require.NoError(t, b.Put(t.Context(), "k", []byte("newer")))
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.Equal(t, "old", string(got))
	})
}
