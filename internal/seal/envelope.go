package seal

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"

	"github.com/minio/sio"
)

// HeadSize is the length of the head of an object that is in an envelope: a
// magic number, the id of its key filled up with zeros, and a salt. The id of an
// object that is in an envelope and not sealed is all zeros.
const HeadSize = len(magic) + idSize + objectSalt

const (
	// magic begins every envelope. No text begins so, and no common file.
	magic      = "\x89hrseal\x01"
	objectSalt = 32
	// objectPurpose begins what an object's key is bound to; its name follows.
	objectPurpose = "headrace object 1\x00"
)

// An object's content is sealed by DARE 2.0, in packages that can be opened one
// by one. DARE leaves nothing of an empty stream, so that anything could be
// replaced by nothing; a byte in front of the content prevents it.
const (
	packageSize  = 64 << 10 // of content
	packageExtra = 32       // head and tag of each
	sealedSize   = packageSize + packageExtra
	pad          = 1
)

// NewWriter returns a writer that puts what is written to it into an envelope
// and writes that to dst. Without keys, it passes on what it gets, except that
// content which begins like an envelope gets one, unsealed, so that nobody takes
// it for sealed. The object is complete when Close has returned nil; Close does
// not close dst. An object that is not to be completed need not be closed.
func (k *Keys) NewWriter(dst io.Writer, name string) (io.WriteCloser, error) {
	if k == nil {
		return &plainWriter{dst: dst}, nil
	}
	head := make([]byte, HeadSize)
	copy(head, magic)
	copy(head[len(magic):], k.first)
	salt := head[HeadSize-objectSalt:]
	_, _ = rand.Read(salt) // never fails
	key, err := k.derive(k.first, salt, objectPurpose+name)
	if err != nil {
		return nil, err
	}
	// DARE writes whole packages. The head goes with the first.
	w, err := sio.EncryptWriter(&headWriter{dst: dst, head: head}, dare(key, 0))
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(make([]byte, pad)); err != nil {
		return nil, err
	}
	return w, nil
}

func dare(key []byte, sequence uint32) sio.Config {
	return sio.Config{
		MinVersion: sio.Version20, MaxVersion: sio.Version20, CipherSuites: []byte{sio.AES_256_GCM},
		Key: key, SequenceNumber: sequence,
	}
}

// headWriter writes a head before what is written first.
type headWriter struct {
	dst  io.Writer
	head []byte
}

// Write implements io.Writer.
func (w *headWriter) Write(p []byte) (int, error) {
	if w.head != nil {
		if _, err := w.dst.Write(w.head); err != nil {
			return 0, err
		}
		w.head = nil
	}
	return w.dst.Write(p)
}

// plainWriter passes on what is written, once it knows how that begins.
type plainWriter struct {
	dst   io.Writer
	begin []byte // what has come while that was not enough to tell
	known bool
}

// Write implements io.Writer.
func (w *plainWriter) Write(p []byte) (int, error) {
	if !w.known {
		if common := min(len(magic)-len(w.begin), len(p)); string(p[:common]) == magic[len(w.begin):len(w.begin)+common] {
			w.begin = append(w.begin, p[:common]...)
			if len(w.begin) < len(magic) {
				return common, nil
			}
			n, err := w.settle(make([]byte, HeadSize), p[common:])
			return common + n, err
		}
		return w.settle(nil, p)
	}
	return w.dst.Write(p)
}

// settle writes the beginning, in an envelope that has the given head, and then
// p.
func (w *plainWriter) settle(head, p []byte) (int, error) {
	w.known = true
	copy(head, magic)
	if begin := append(head, w.begin...); len(begin) > 0 {
		if _, err := w.dst.Write(begin); err != nil {
			return 0, err
		}
	}
	if len(p) == 0 {
		return 0, nil
	}
	return w.dst.Write(p)
}

// Close implements io.Closer.
func (w *plainWriter) Close() error {
	if w.known {
		return nil
	}
	_, err := w.settle(nil, nil)
	return err
}

// Layout tells where in an object its content is.
type Layout struct {
	key    []byte // nil if the content is not sealed
	offset int64  // of the content, or of the first package
}

// Layout reads the head of an object with the given name: its first HeadSize
// bytes, or all that it has. An object in no envelope, and one that is not
// sealed, needs no keys. It returns *UnknownKeyError.
func (k *Keys) Layout(head []byte, name string) (Layout, error) {
	if !bytes.HasPrefix(head, []byte(magic)) {
		return Layout{}, nil
	}
	if len(head) < HeadSize {
		return Layout{}, ErrForged
	}
	id := string(bytes.TrimRight(head[len(magic):HeadSize-objectSalt], "\x00"))
	if id == "" {
		return Layout{offset: int64(HeadSize)}, nil
	}
	if !validID.MatchString(id) {
		return Layout{}, fmt.Errorf("%w: it names no key", ErrForged)
	}
	key, err := k.derive(id, head[HeadSize-objectSalt:HeadSize], objectPurpose+name)
	return Layout{key: key, offset: int64(HeadSize)}, err
}
