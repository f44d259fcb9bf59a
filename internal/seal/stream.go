package seal

import (
	"errors"
	"io"
	"math"

	"github.com/minio/sio"
)

// Sealed reports whether the content is sealed.
func (l Layout) Sealed() bool { return l.key != nil }

// Start returns where in the object to begin to read for the content from
// offset on.
func (l Layout) Start(offset int64) int64 {
	if l.key == nil {
		return l.offset + offset
	}
	return l.offset + (offset+pad)/packageSize*sealedSize
}

// End returns where in the object to stop at the latest when reading length
// bytes of content from offset on. The object may end before.
func (l Layout) End(offset, length int64) int64 {
	if l.key == nil {
		return l.offset + offset + length
	}
	packages := (offset + pad + length + packageSize - 1) / packageSize
	return l.offset + max(packages, 1)*sealedSize
}

// Furthest returns a bound of End for content of whatever layout.
func Furthest(offset, length int64) int64 {
	return Layout{key: []byte{}, offset: int64(HeadSize)}.End(offset, length)
}

// Size returns the length of the content of an object of the given length.
func (l Layout) Size(object int64) int64 {
	body := max(object-l.offset, 0)
	if l.key == nil {
		return body
	}
	packages := (body + sealedSize - 1) / sealedSize
	return max(body-packages*packageExtra-pad, 0)
}

// Reader reads content from offset on, of which src gives the object from Start
// on. A negative length reads to the end, and returns ErrForged if the object
// ends before that; other lengths read as far as there is content.
//
// What it has returned is authentic, whatever error follows.
func (l Layout) Reader(src io.Reader, offset, length int64) (io.Reader, error) {
	if length < 0 {
		length = math.MaxInt64
	}
	if l.key == nil {
		return io.LimitReader(src, length), nil
	}
	first := (offset + pad) / packageSize
	if first > math.MaxUint32 {
		return nil, errors.New("offset is beyond what an object can have")
	}
	tracked := &tracked{src: src}
	opened, err := sio.DecryptReader(tracked, dare(l.key, uint32(first))) //nolint:gosec // it fits, see above
	if err != nil {
		return nil, err
	}
	return &reader{opened: opened, src: tracked, skip: (offset + pad) % packageSize, left: length, first: first}, nil
}

// reader reads opened content.
type reader struct {
	opened io.Reader
	src    *tracked
	skip   int64 // bytes in front of those that are wanted
	left   int64
	first  int64 // the package that src begins with
	err    error
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.skip > 0 {
		skipped, err := io.CopyN(io.Discard, r.opened, r.skip)
		if r.skip -= skipped; err != nil {
			r.err = r.reason(err)
			return 0, r.err
		}
	}
	if r.left == 0 {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := r.opened.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	if err != nil {
		r.err = r.reason(err)
	}
	return n, r.err
}

// reason tells a source that has failed from one that gives the wrong bytes, and
// an offset behind the end of an object from one that was cut off there.
func (r *reader) reason(err error) error {
	switch {
	case r.src.err != nil && !errors.Is(r.src.err, io.EOF):
		return r.src.err
	case errors.Is(err, io.EOF):
		return io.EOF
	case r.first > 0 && r.src.n == 0:
		// The offset is that of a package that is not there. Whether the object
		// should have it, only one that is read from its beginning tells.
		return io.EOF
	}
	return ErrForged
}

// tracked remembers what its source has done.
type tracked struct {
	src io.Reader
	n   int64
	err error
}

// Read implements io.Reader.
func (t *tracked) Read(p []byte) (int, error) {
	n, err := t.src.Read(p)
	t.n += int64(n)
	if err != nil {
		t.err = err
	}
	return n, err
}
