package seal_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/seal"
)

// pack puts content into an envelope, written in pieces.
func pack(t require.TestingT, k *seal.Keys, name string, content []byte, piece int) []byte {
	var object bytes.Buffer
	w, err := k.NewWriter(&object, name)
	require.NoError(t, err)
	for rest := content; len(rest) > 0; {
		n, err := w.Write(rest[:min(piece, len(rest))])
		require.NoError(t, err)
		require.Equal(t, min(piece, len(rest)), n)
		rest = rest[n:]
	}
	require.NoError(t, w.Close())
	return object.Bytes()
}

// unpack reads a part of the content of an object, as a store would.
func unpack(k *seal.Keys, name string, object []byte, offset, length int64) ([]byte, error) {
	layout, err := k.Layout(object[:min(seal.HeadSize, len(object))], name)
	if err != nil {
		return nil, err
	}
	end := int64(len(object))
	if length >= 0 {
		end = min(layout.End(offset, length), end)
	}
	r, err := layout.Reader(bytes.NewReader(object[min(layout.Start(offset), end):end]), offset, length)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// content is of lengths around those of packages.
func content(t *rapid.T) []byte {
	const packageSize = 64 << 10
	size := rapid.OneOf(
		rapid.IntRange(0, 20), rapid.IntRange(packageSize-3, packageSize+3), rapid.IntRange(3*packageSize-3, 3*packageSize+3), rapid.IntRange(0, 4*packageSize),
	).Draw(t, "size")
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(data)
	return data
}

func TestEveryPartOfAnObjectIsReadBack(t *testing.T) {
	t.Parallel()
	for _, k := range []*seal.Keys{keys(t, "a"), nil} {
		rapid.Check(t, func(t *rapid.T) {
			data := content(t)
			object := pack(t, k, "name", data, rapid.SampledFrom([]int{1000, 64 << 10, 1 << 20}).Draw(t, "piece"))
			offset := rapid.IntRange(0, len(data)).Draw(t, "offset")
			length := rapid.IntRange(0, len(data)-offset).Draw(t, "length")
			got, err := unpack(k, "name", object, int64(offset), int64(length))
			require.NoError(t, err)
			require.True(t, bytes.Equal(data[offset:offset+length], got), "offset %d, length %d of %d", offset, length, len(data))
			got, err = unpack(k, "name", object, int64(offset), -1)
			require.NoError(t, err)
			require.True(t, bytes.Equal(data[offset:], got), "offset %d of %d", offset, len(data))
			got, err = unpack(k, "name", object, int64(offset), int64(len(data))+100)
			require.NoError(t, err, "a reader gives what there is")
			require.True(t, bytes.Equal(data[offset:], got))
			layout, err := k.Layout(object[:min(seal.HeadSize, len(object))], "name")
			require.NoError(t, err)
			require.Equal(t, k != nil, layout.Sealed())
			require.Equal(t, int64(len(data)), layout.Size(int64(len(object))))
			require.LessOrEqual(t, layout.End(int64(offset), int64(length)), seal.Furthest(int64(offset), int64(length)))
		})
	}
}

func TestAnObjectIsAWellBehavedReader(t *testing.T) {
	t.Parallel()
	k := keys(t, "a")
	data := bytes.Repeat([]byte("0123456789"), 20_000)
	object := pack(t, k, "name", data, 1<<20)
	layout, err := k.Layout(object[:seal.HeadSize], "name")
	require.NoError(t, err)
	r, err := layout.Reader(iotest.HalfReader(bytes.NewReader(object[layout.Start(0):])), 0, -1)
	require.NoError(t, err)
	require.NoError(t, iotest.TestReader(r, data))
}

func TestAnObjectInAnothersPlaceIsNotOpened(t *testing.T) {
	t.Parallel()
	k := keys(t, "a")
	for _, data := range []string{"", "mine"} {
		_, err := unpack(k, "yours", pack(t, k, "mine", []byte(data), 10), 0, -1)
		require.ErrorIs(t, err, seal.ErrForged)
	}
}

// TestAChangedObjectGivesNothingThatIsNotItsOwn changes a byte, cuts the object
// off or lengthens it. What is read before the error must be right.
func TestAChangedObjectGivesNothingThatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	k := keys(t, "a", "b")
	rapid.Check(t, func(t *rapid.T) {
		data := content(t)
		object := pack(t, k, "name", data, 1<<20)
		at := rapid.IntRange(8, len(object)-1).Draw(t, "at") // behind the magic number
		change := rapid.SampledFrom([]func() []byte{
			func() []byte { object[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit"); return object },
			func() []byte { return object[:at] },
			func() []byte { return append(object, object[at:]...) },
		}).Draw(t, "change")
		got, err := unpack(k, "name", change(), 0, -1)
		require.Error(t, err)
		require.True(t, bytes.HasPrefix(data, got))
	})
}

func TestPackagesCannotChangePlaces(t *testing.T) {
	t.Parallel()
	k := keys(t, "a")
	const sealedPackage = 64<<10 + 32
	object := pack(t, k, "name", make([]byte, 200<<10), 1<<20)
	first, second := object[seal.HeadSize:][:sealedPackage], object[seal.HeadSize+sealedPackage:][:sealedPackage]
	swapped := append(append(append(bytes.Clone(object[:seal.HeadSize]), second...), first...), object[seal.HeadSize+2*sealedPackage:]...)
	for _, offset := range []int64{0, 70 << 10} {
		_, err := unpack(k, "name", swapped, offset, 10)
		require.ErrorIs(t, err, seal.ErrForged)
	}
}

func TestAnObjectOfAnUnknownKeySaysWhich(t *testing.T) {
	t.Parallel()
	object := pack(t, keys(t, "old"), "name", []byte("x"), 10)
	for _, k := range []*seal.Keys{keys(t, "new"), nil} {
		_, err := unpack(k, "name", object, 0, -1)
		var unknown *seal.UnknownKeyError
		require.ErrorAs(t, err, &unknown)
		require.Equal(t, "old", unknown.ID)
	}
	got, err := unpack(keys(t, "new", "old"), "name", object, 0, -1)
	require.NoError(t, err)
	require.Equal(t, "x", string(got))
}

// TestPlainContentThatLooksSealedIsReadAsItIs writes without keys what is the
// beginning of a sealed object, or nearly.
func TestPlainContentThatLooksSealedIsReadAsItIs(t *testing.T) {
	t.Parallel()
	object := pack(t, keys(t, "a"), "name", []byte("x"), 10)
	for size := range len(object) + 1 {
		for _, piece := range []int{1, 5, 8, 1000} {
			plain := pack(t, nil, "name", object[:size], piece)
			for _, k := range []*seal.Keys{nil, keys(t, "a")} {
				got, err := unpack(k, "name", plain, 0, -1)
				require.NoError(t, err)
				require.True(t, bytes.Equal(object[:size], got), "%d bytes in pieces of %d", size, piece)
			}
			if size < 8 {
				require.Len(t, plain, size, "nothing is added to what does not look sealed")
			}
		}
	}
}

func TestAFailingSourceIsNotTakenForAForgery(t *testing.T) {
	t.Parallel()
	k := keys(t, "a")
	object := pack(t, k, "name", make([]byte, 100_000), 1<<20)
	layout, err := k.Layout(object[:seal.HeadSize], "name")
	require.NoError(t, err)
	broken := errors.New("the line went dead")
	r, err := layout.Reader(io.MultiReader(bytes.NewReader(object[seal.HeadSize:][:80_000]), iotest.ErrReader(broken)), 0, -1)
	require.NoError(t, err)
	_, err = io.ReadAll(r)
	require.ErrorIs(t, err, broken)
}

func FuzzReadingObjectsThatNobodySealed(f *testing.F) {
	k := keys(f, "a")
	object := pack(f, k, "name", []byte("content"), 100)
	f.Add(object, int64(0), int64(-1))
	f.Add(object[:70], int64(3), int64(2))
	f.Fuzz(func(t *testing.T, data []byte, offset, length int64) {
		if offset < 0 || offset > 1<<40 || length > 1<<40 || !bytes.HasPrefix(data, object[:8]) {
			return
		}
		layout, err := k.Layout(data[:min(seal.HeadSize, len(data))], "another name")
		if err != nil || !layout.Sealed() {
			return
		}
		if got, _ := unpack(k, "another name", data, offset, length); len(got) > 0 {
			t.Errorf("read %q", got)
		}
	})
}

func BenchmarkSealing(b *testing.B) {
	k := keys(b, "a")
	data := make([]byte, 1<<20)
	b.Run("Write", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			w, _ := k.NewWriter(io.Discard, "name")
			_, _ = w.Write(data)
			_ = w.Close()
		}
	})
	object := pack(b, k, "name", data, 1<<20)
	b.Run("Read", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			layout, _ := k.Layout(object[:seal.HeadSize], "name")
			r, _ := layout.Reader(bytes.NewReader(object[seal.HeadSize:]), 0, -1)
			_, _ = io.Copy(io.Discard, r)
		}
	})
	b.Run("Value", func(b *testing.B) {
		for b.Loop() {
			_, _ = k.Open(k.Seal(data[:1000], nil), nil)
		}
	})
}
