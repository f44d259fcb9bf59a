package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/headrace/headrace/internal/seal"
)

// near is the offset up to which an object is read from its beginning, with its
// head, since that costs less than another round trip.
const near = 128 << 10

// Get returns what key holds, or ErrNotFound.
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	r, err := s.open(ctx, key, 0, -1)
	if err != nil {
		return nil, wrap("read", key, err)
	}
	defer func() { _ = r.Close() }()
	data := bytes.NewBuffer(make([]byte, 0, r.size+bytes.MinRead))
	if _, err := data.ReadFrom(r); err != nil {
		return nil, wrap("read", key, err)
	}
	return data.Bytes(), nil
}

// GetJSON decodes what key holds into v, or returns ErrNotFound.
func (s *Store) GetJSON(ctx context.Context, key string, v any) error {
	data, err := s.Get(ctx, key)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("decode %s: %w", key, err)
	}
	return nil
}

// Reader reads length bytes of key from offset on; a negative length reads to
// the end. It returns ErrNotFound for a key that holds nothing. A reader that
// begins far from the beginning of an encrypted object fails if the object is
// replaced in the moment of opening it.
func (s *Store) Reader(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	r, err := s.open(ctx, key, offset, length)
	if err != nil {
		return nil, wrap("read", key, err)
	}
	return r, nil
}

// Range reads length bytes of key from offset on, all of them or none.
func (s *Store) Range(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	r, err := s.open(ctx, key, offset, length)
	if err != nil {
		return nil, wrap("read", key, err)
	}
	defer func() { _ = r.Close() }()
	data := make([]byte, length)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, wrap("read", key, err)
	}
	return data, nil
}

// content reads the content of an object.
type content struct {
	io.Reader

	raw io.ReadCloser
	// size is a bound of the content's size, if it is read from its beginning to
	// its end.
	size int64
	// drain is set if what is left is little: a connection on which all has been
	// read is used again.
	drain bool
	key   string
}

// Read implements io.Reader.
func (c *content) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if errors.Is(err, seal.ErrForged) {
		err = fmt.Errorf("open %s: %w", c.key, err)
	}
	return n, err
}

// Close implements io.Closer.
func (c *content) Close() error {
	if c.drain {
		_, _ = io.CopyN(io.Discard, c.raw, 2*near)
	}
	return c.raw.Close()
}

// open opens an object's content, sealed or not.
func (s *Store) open(ctx context.Context, key string, offset, length int64) (*content, error) {
	done := s.observe(Read, key)
	c, err := s.openContent(ctx, key, offset, length)
	if isNotFound(err) {
		done(nil)
	} else {
		done(err)
	}
	return c, err
}

func (s *Store) openContent(ctx context.Context, key string, offset, length int64) (*content, error) {
	if offset < 0 {
		return nil, fmt.Errorf("offset %d is negative", offset)
	}
	end := int64(-1)
	if offset > near {
		end = int64(seal.HeadSize)
	} else if length >= 0 {
		end = seal.Furthest(offset, length)
	}
	raw, size, err := s.openRaw(ctx, key, 0, end)
	if err != nil {
		return nil, err
	}
	head := make([]byte, seal.HeadSize)
	n, err := io.ReadFull(raw, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, errors.Join(err, raw.Close())
	}
	head = head[:n]
	layout, err := s.keys.Layout(head, key)
	if err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	c := &content{raw: raw, key: key, size: layout.Size(size), drain: end >= 0 && s.driver.remote()}
	if offset > near {
		_ = c.Close()
		return s.openFar(ctx, c, layout, offset, length)
	}
	source := io.MultiReader(bytes.NewReader(head), raw)
	if _, err := io.CopyN(io.Discard, source, layout.Start(offset)); err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, raw.Close())
	}
	c.Reader, err = layout.Reader(source, offset, length)
	return c, err
}

// openFar opens an object whose layout is known.
func (s *Store) openFar(ctx context.Context, c *content, layout seal.Layout, offset, length int64) (*content, error) {
	start, span := layout.Start(offset), int64(-1)
	if length >= 0 {
		span = layout.End(offset, length) - start
	}
	var err error
	if c.raw, _, err = s.openRaw(ctx, c.key, start, span); err != nil {
		return nil, err
	}
	c.Reader, err = layout.Reader(c.raw, offset, length)
	c.drain = false
	return c, err
}

// openRaw opens a part of an object as it is kept, and tells how large the
// whole is. A part behind the object's end is empty.
func (s *Store) openRaw(ctx context.Context, key string, start, length int64) (io.ReadCloser, int64, error) {
	ctx, dog := s.watch(ctx)
	done := dog.step(operationTimeout)
	r, err := s.bucket.NewRangeReader(ctx, key, start, length, nil)
	if err = done(err); err != nil {
		dog.stop()
		if isBeyond(err) {
			return io.NopCloser(strings.NewReader("")), 0, nil
		}
		return nil, 0, err
	}
	return &watchedReader{r, dog}, r.Size(), nil
}

// Exists reports whether key holds anything.
func (s *Store) Exists(ctx context.Context, key string) (bool, error) {
	told := s.observe(Lookup, key)
	ctx, done := s.bounded(ctx, 0)
	_, err := s.bucket.Attributes(ctx, key)
	err = done(err)
	found := err == nil
	if isNotFound(err) {
		err = nil
	}
	if told(err); err != nil {
		return false, wrap("look up", key, err)
	}
	return found, nil
}
