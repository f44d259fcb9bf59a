package store_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
)

func TestAFileIsSavedFoundAndRead(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		f := b.upload(t)
		got, err := b.File(t.Context(), project, f.ID)
		require.NoError(t, err)
		require.Equal(t, f, got)
		r, err := b.OpenFile(t.Context(), project, f, 0, -1)
		require.Equal(t, f.ID, string(read(t, r, err)))
		r, err = b.OpenFile(t.Context(), project, f, 5, 3)
		require.Equal(t, f.ID[5:8], string(read(t, r, err)))
		r, err = b.OpenFileData(t.Context(), project, f.ID, 5, -1)
		require.Equal(t, f.ID[5:], string(read(t, r, err)))
		part, err := b.FileDataRange(t.Context(), project, f.ID, 0, 4)
		require.NoError(t, err)
		require.Equal(t, "file", string(part))

		_, err = b.File(t.Context(), "another", f.ID)
		require.ErrorIs(t, err, store.ErrNotFound, "projects do not see each other's")
	})
}

func TestAFileExistsOnlyOnceItIsSaved(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		f := newFile()
		w, err := b.CreateFileData(t.Context(), project, f.ID)
		require.NoError(t, err)
		require.NoError(t, w.Commit())
		_, err = b.File(t.Context(), project, f.ID)
		require.ErrorIs(t, err, store.ErrNotFound)
		require.Empty(t, collect(t, b.FileIDs(t.Context(), project)))
	})
}

func TestFilesAreListedNewestFirst(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		var ids []string
		for range 5 {
			ids = append(ids, b.upload(t).ID)
		}
		other := newFile()
		require.NoError(t, b.SaveFile(t.Context(), "another", other))
		slices.Reverse(ids)
		require.Equal(t, ids, collect(t, b.FileIDs(t.Context(), project)))
		require.Equal(t, []string{other.ID}, collect(t, b.FileIDs(t.Context(), "another")))
		require.Empty(t, collect(t, b.FileIDs(t.Context(), "nobody")))
		for id, err := range b.FileIDs(t.Context(), project) {
			require.NoError(t, err)
			require.Equal(t, ids[0], id)
			break
		}
	})
}

func TestADeletedFileIsGoneWithItsBytes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		f, kept := b.upload(t), b.upload(t)
		require.NoError(t, b.DeleteFile(t.Context(), project, f.ID))
		require.NoError(t, b.DeleteFile(t.Context(), project, f.ID))
		_, err := b.File(t.Context(), project, f.ID)
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = b.OpenFile(t.Context(), project, f, 0, -1)
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = b.FileDataRange(t.Context(), project, f.ID, 0, 1)
		require.ErrorIs(t, err, store.ErrNotFound)
		require.Equal(t, []string{kept.ID}, collect(t, b.FileIDs(t.Context(), project)))
		for _, path := range b.paths(t) {
			require.NotContains(t, path, f.ID)
		}
	})
}

// noIDs are ids as no upload has them. What they name, if anything, lies
// outside the files of the project.
func noIDs() []string {
	up := strings.Repeat("../", 5)
	return []string{
		"", ".", "..", "/", "../x", up + "x", "file-/" + up + "x", "/etc/passwd", "..\\x", "\x00", strings.Repeat("x", 10_000),
		"file-", openai.NewID(openai.PrefixFile), openai.NewID(openai.PrefixBatch),
	}
}

// TestIDsThatAreNoneFindNothingAndTouchNothing looks for changes on the disk, in
// the store's folder and beside it.
func TestIDsThatAreNoneFindNothingAndTouchNothing(t *testing.T) {
	t.Parallel()
	outer := t.TempDir()
	b := &testBundle{Store: open(t, filepath.Join(outer, "store")), dir: outer}
	b.upload(t)
	require.NoError(t, os.WriteFile(filepath.Join(outer, "x"), []byte("mine"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(outer, "x.json"), []byte("{}"), 0o600))
	before := b.paths(t)
	require.Len(t, before, 4)
	for _, id := range noIDs() {
		_, err := b.File(t.Context(), project, id)
		require.ErrorIs(t, err, store.ErrNotFound, "%q", id)
		_, err = b.OpenFileData(t.Context(), project, id, 0, -1)
		require.Error(t, err, "%q", id)
		_, err = b.OpenFile(t.Context(), project, openai.File{ID: id, Purpose: openai.PurposeBatchOutput}, 0, -1)
		require.Error(t, err, "%q", id)
		_ = b.DeleteFile(t.Context(), project, id) // may be an error: the file system takes no such name
		_ = b.UnpinFile(t.Context(), project, id, "batch")
		require.Equal(t, before, b.paths(t), "%q", id)
	}
}

func TestAFileIsFoundByItsIDAloneAndByNothingLikeIt(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		id := b.upload(t).ID
		for _, like := range []string{
			id + "0", id[:len(id)-1], id + "/", "./" + id, id + ".json", id + "\n", id[:len(id)-1] + "\n", strings.ToUpper(id), " " + id,
			"../meta/" + id, "x/../" + id, strings.Replace(id, openai.PrefixFile, openai.PrefixBatch, 1),
		} {
			_, err := b.File(t.Context(), project, like)
			require.ErrorIs(t, err, store.ErrNotFound, "%q", like)
		}
	})
}

func TestAPinnedFileKeepsItsBytesUntilTheLastPinIsGone(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		f := b.upload(t)
		require.NoError(t, b.PinFile(t.Context(), project, f.ID, "batch_1"))
		require.NoError(t, b.PinFile(t.Context(), project, f.ID, "batch_2"))
		require.NoError(t, b.DeleteFile(t.Context(), project, f.ID))
		_, err := b.File(t.Context(), project, f.ID)
		require.ErrorIs(t, err, store.ErrNotFound, "its owner sees it no more")
		require.NoError(t, b.UnpinFile(t.Context(), project, f.ID, "batch_1"))
		r, err := b.OpenFileData(t.Context(), project, f.ID, 0, -1)
		require.Equal(t, f.ID, string(read(t, r, err)))
		require.NoError(t, b.UnpinFile(t.Context(), project, f.ID, "batch_2"))
		require.Empty(t, b.paths(t))
	})
}

// TestBytesOfAFileExistWhileItOrAPinDoes pins, unpins and deletes in any order.
// Bytes that are gone do not come back: whoever pins looks the file up after.
func TestBytesOfAFileExistWhileItOrAPinDoes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		rapid.Check(t, func(rt *rapid.T) {
			f := b.upload(t)
			exists, data, pins := true, true, map[string]bool{}
			batch := rapid.SampledFrom([]string{"batch_1", "batch_2", "batch_3"})
			rt.Repeat(map[string]func(*rapid.T){
				"pin": func(rt *rapid.T) {
					by := batch.Draw(rt, "batch")
					require.NoError(rt, b.PinFile(t.Context(), project, f.ID, by))
					pins[by] = true
				},
				"unpin": func(rt *rapid.T) {
					by := batch.Draw(rt, "batch")
					require.NoError(rt, b.UnpinFile(t.Context(), project, f.ID, by))
					delete(pins, by)
					data = data && (exists || len(pins) > 0)
				},
				"delete": func(rt *rapid.T) {
					require.NoError(rt, b.DeleteFile(t.Context(), project, f.ID))
					exists, data = false, data && len(pins) > 0
				},
				"": func(rt *rapid.T) {
					_, err := b.File(t.Context(), project, f.ID)
					require.Equal(rt, exists, err == nil, "the file: %v", err)
					got, err := b.FileDataRange(t.Context(), project, f.ID, 0, int64(len(f.ID)))
					require.Equal(rt, data, err == nil, "its bytes: %v", err)
					require.Equal(rt, data, string(got) == f.ID)
				},
			})
		})
	})
}
