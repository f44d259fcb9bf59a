package store_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
)

// output stores objects with the contents of parts, and the output file that
// they make.
func (b *testBundle) output(t *testing.T, parts ...string) (openai.File, store.Manifest) {
	t.Helper()
	f := newFile()
	f.Purpose = openai.PurposeBatchOutput
	var m store.Manifest
	for i, data := range parts {
		key := fmt.Sprintf("parts/%s/%04d", f.ID, i)
		require.NoError(t, b.Put(t.Context(), key, []byte(data)))
		m.Parts = append(m.Parts, store.Part{Key: key, Bytes: int64(len(data))})
	}
	f.Bytes = m.Bytes()
	require.NoError(t, b.SaveManifestFile(t.Context(), project, f, m))
	return f, m
}

func TestAnOutputFileIsItsPartsInOrder(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		for want, parts := range map[string][]string{
			"": {}, "a": {"a"}, "abcdef": {"ab", "cde", "f"}, "xyz": {"", "x", "", "", "yz", ""},
		} {
			f, m := b.output(t, parts...)
			require.Equal(t, int64(len(want)), m.Bytes())
			found, err := b.File(t.Context(), project, f.ID)
			require.NoError(t, err)
			require.Equal(t, f, found)
			r, err := b.OpenFile(t.Context(), project, found, 0, -1)
			require.Equal(t, want, string(read(t, r, err)))
		}
	})
}

func TestAnOutputFileIsAWellBehavedReader(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		f, _ := b.output(t, "ab", "", "cde", "f")
		r, err := b.OpenFile(t.Context(), project, f, 0, -1)
		require.NoError(t, err)
		n, err := r.Read(nil)
		require.NoError(t, err, "reading nothing returns at once")
		require.Zero(t, n)
		require.NoError(t, iotest.TestReader(r, []byte("abcdef")))
		_, err = r.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err)
		require.NoError(t, r.Close())

		r, err = b.OpenFile(t.Context(), project, f, 0, -1)
		require.NoError(t, err)
		_, err = r.Read(make([]byte, 1))
		require.NoError(t, err)
		require.NoError(t, r.Close(), "in the middle of a part")
	})
}

// TestEverySliceOfAnOutputFileIsThatOfItsPartsJoined reads every offset and
// length of random manifests.
func TestEverySliceOfAnOutputFileIsThatOfItsPartsJoined(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		rapid.Check(t, func(rt *rapid.T) {
			parts := rapid.SliceOfN(rapid.StringMatching(`[a-z]{0,4}`), 0, 4).Draw(rt, "parts")
			f, _ := b.output(t, parts...)
			var whole []byte
			for _, part := range parts {
				whole = append(whole, part...)
			}
			for offset := range len(whole) + 1 {
				for length := range len(whole) - offset + 1 {
					r, err := b.OpenFile(t.Context(), project, f, int64(offset), int64(length))
					require.Equal(rt, string(whole[offset:offset+length]), string(read(rt, r, err)), "offset %d, length %d", offset, length)
				}
				r, err := b.OpenFile(t.Context(), project, f, int64(offset), -1)
				require.Equal(rt, string(whole[offset:]), string(read(rt, r, err)), "offset %d to the end", offset)
			}
		})
	})
}

func TestMoreThanAnOutputFileHasIsAnUnexpectedEnd(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		f, _ := b.output(t, "ab", "cd")
		for _, slice := range [][2]int64{{0, 5}, {3, 2}, {4, 1}, {100, 1}} {
			r, err := b.OpenFile(t.Context(), project, f, slice[0], slice[1])
			require.NoError(t, err)
			got, err := io.ReadAll(r)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%v", slice)
			require.Equal(t, "abcd"[min(slice[0], 4):], string(got))
			require.NoError(t, r.Close())
		}
		r, err := b.OpenFile(t.Context(), project, f, 100, -1)
		require.Empty(t, read(t, r, err), "to the end from beyond it")
	})
}

func TestAMissingPartIsAnError(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		f, m := b.output(t, "ab", "cd", "ef")
		require.NoError(t, b.Delete(t.Context(), m.Parts[1].Key))
		r, err := b.OpenFile(t.Context(), project, f, 0, -1)
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.ErrorIs(t, err, store.ErrNotFound)
		require.ErrorContains(t, err, m.Parts[1].Key)
		require.Equal(t, "ab", string(got))
		require.NoError(t, r.Close())
	})
}

// TestAPartThatIsShorterThanStatedIsAnUnexpectedEnd wants exactly what is right
// and nothing after it: the next part must not move up.
func TestAPartThatIsShorterThanStatedIsAnUnexpectedEnd(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		f, m := b.output(t, "abcd", "efgh", "ijkl")
		for cut, want := range map[int]string{0: "ab", 1: "abcdef", 2: "abcdefghij"} {
			whole, err := b.Get(t.Context(), m.Parts[cut].Key)
			require.NoError(t, err)
			require.NoError(t, b.Put(t.Context(), m.Parts[cut].Key, whole[:2]))
			for _, length := range []int64{-1, 12, int64(len(want)) + 1} {
				r, err := b.OpenFile(t.Context(), project, f, 0, length)
				require.NoError(t, err)
				got, err := io.ReadAll(r)
				require.ErrorIs(t, err, io.ErrUnexpectedEOF, "part %d, length %d", cut, length)
				require.Equal(t, want, string(got))
				require.NoError(t, r.Close())
			}
			r, err := b.OpenFile(t.Context(), project, f, int64(cut*4+3), 1)
			require.NoError(t, err)
			_, err = io.ReadAll(r)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "from behind the end of part %d", cut)
			require.NoError(t, r.Close())
			require.NoError(t, b.Put(t.Context(), m.Parts[cut].Key, whole))
		}
	})
}

func TestAPartThatIsLongerThanStatedIsReadAsFarAsStated(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		f, m := b.output(t, "ab", "cd")
		require.NoError(t, b.Put(t.Context(), m.Parts[0].Key, []byte("ab and more")))
		r, err := b.OpenFile(t.Context(), project, f, 0, -1)
		require.Equal(t, "abcd", string(read(t, r, err)))
	})
}

func TestAnOutputFileMayBeSavedAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		f, m := b.output(t, "ab", "cd")
		require.NoError(t, b.SaveManifestFile(t.Context(), project, f, m))
		require.Equal(t, []string{f.ID}, collect(t, b.FileIDs(t.Context(), project)))
		r, err := b.OpenFile(t.Context(), project, f, 0, -1)
		require.Equal(t, "abcd", string(read(t, r, err)))
	})
}

func TestDeletingAnOutputFileDeletesItsParts(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		f, _ := b.output(t, "ab", "cd")
		kept, _ := b.output(t, "ef")
		require.NoError(t, b.DeleteFile(t.Context(), project, f.ID))
		require.NoError(t, b.DeleteFile(t.Context(), project, f.ID))
		for _, path := range b.paths(t) {
			require.NotContains(t, path, f.ID)
		}
		r, err := b.OpenFile(t.Context(), project, kept, 0, -1)
		require.Equal(t, "ef", string(read(t, r, err)))
	})
}

// TestADeletionThatWasInterruptedIsFinishedByTheNext has the description gone
// and half the parts.
func TestADeletionThatWasInterruptedIsFinishedByTheNext(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		f, m := b.output(t, "ab", "cd")
		for key := range map[string]bool{"files/" + project + "/meta/" + f.ID + ".json": true, m.Parts[0].Key: true} {
			require.NoError(t, b.Delete(t.Context(), key))
		}
		require.NoError(t, b.DeleteFile(t.Context(), project, f.ID))
		require.Empty(t, b.paths(t))
	})
}

func TestALargeOutputFileIsReadPiecemeal(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		part := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
		f, _ := b.output(t, string(part), string(part), string(part))
		r, err := b.OpenFile(t.Context(), project, f, 0, -1)
		require.True(t, bytes.Equal(bytes.Repeat(part, 3), read(t, iotestCloser{iotest.HalfReader(r), r}, err)))
	})
}

// iotestCloser gives a reader of iotest the Close of what it reads from.
type iotestCloser struct {
	io.Reader
	io.Closer
}
