package jsonl

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// Limits of a chunk. A line longer than MaxChunkBytes is a chunk of its own.
const (
	MaxChunkRequests = 500
	MaxChunkBytes    = 4 << 20
)

// RecordSize is the size in bytes of a chunk in the index. The index is nothing
// but records, so that chunk n, counted from 0, stands at n*RecordSize.
const RecordSize = 32

// Chunk is a run of consecutive request lines of a file.
type Chunk struct {
	// Offset and Length are the range of the file that holds the chunk, in
	// bytes, from its first request to the end of its last one. Blank lines may
	// lie between.
	Offset, Length int64
	// Line is the number of the line of the first request, from 1.
	Line int64
	// Requests is the number of requests, at least 1.
	Requests int64
}

// append encodes c as the record that DecodeChunk reads.
func (c Chunk) append(b []byte) []byte {
	for _, v := range []int64{c.Offset, c.Length, c.Line, c.Requests} {
		b = binary.LittleEndian.AppendUint64(b, uint64(v)) //nolint:gosec // none is negative
	}
	return b
}

// DecodeChunk reads a record of the index that Plan wrote. It is an error if
// record is of another size than RecordSize or holds what Plan never writes.
func DecodeChunk(record []byte) (Chunk, error) {
	if len(record) != RecordSize {
		return Chunk{}, fmt.Errorf("decode chunk: record of %d bytes instead of %d", len(record), RecordSize)
	}
	var v [4]int64
	for i := range v {
		v[i] = int64(binary.LittleEndian.Uint64(record[8*i:])) //nolint:gosec // checked below
	}
	c := Chunk{Offset: v[0], Length: v[1], Line: v[2], Requests: v[3]}
	if c.Offset < 0 || c.Line < 1 || c.Length < 1 || c.Length > MaxLine ||
		c.Requests < 1 || c.Requests > MaxChunkRequests {
		return Chunk{}, fmt.Errorf("decode chunk: record makes no sense: %+v", c)
	}
	return c, nil
}

// ReadChunk reads the requests of c from in, which stands at c.Offset in the
// file. It takes c.Length bytes, and the requests share them. It is an error if
// the range does not hold what Plan has seen there.
func ReadChunk(in io.Reader, c Chunk) ([]Request, error) {
	text := make([]byte, c.Length)
	if _, err := io.ReadFull(in, text); err != nil {
		return nil, fmt.Errorf("read chunk at offset %d: %w", c.Offset, err)
	}
	requests := make([]Request, 0, c.Requests)
	number := c.Line
	for raw := range bytes.Lines(text) {
		if body := bytes.Trim(raw, blanks); len(body) > 0 {
			r, err := Parse(Line{Number: number, Text: body})
			if err != nil {
				return nil, fmt.Errorf("read chunk at offset %d: line %d: %w", c.Offset, number, err)
			}
			requests = append(requests, r)
		}
		number++
	}
	if int64(len(requests)) != c.Requests {
		return nil, fmt.Errorf("read chunk at offset %d: %d requests instead of %d", c.Offset, len(requests), c.Requests)
	}
	return requests, nil
}
