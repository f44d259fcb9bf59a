package jsonl

import (
	"context"
	"io"
)

// Limits are the bounds of Plan, for tests that narrow them.
type Limits struct {
	Buffer        int
	Line          int64
	ChunkRequests int
	ChunkBytes    int64
	TailLines     int
	IDBudget      int
}

// PlanWithin is Plan with bounds of its own.
func PlanWithin(ctx context.Context, in io.Reader, index io.Writer, o PlanOptions, l Limits) (Summary, error) {
	return plan(ctx, in, index, o, limits{
		buffer: l.Buffer, line: l.Line, chunkRequests: l.ChunkRequests, chunkBytes: l.ChunkBytes,
		tailLines: l.TailLines, idBudget: l.IDBudget,
	})
}

// NewReaderWithin is NewReader with a limit of its own and a buffer of 16 bytes.
func NewReaderWithin(in io.Reader, from Position, limit int64) *Reader {
	return newReader(in, from, 16, limit)
}

// Fields returns what the scanner finds in text, nil for a field that is not
// there, and whether text is valid JSON.
func Fields(text []byte) (line, body map[string][]byte, ok bool) {
	var f fields
	ok = f.parse(text)
	line = map[string][]byte{"custom_id": f.customID, "method": f.method, "url": f.url, "body": f.body}
	body = map[string][]byte{"model": f.model, "messages": f.messages, "input": f.input, "stream": f.stream}
	return line, body, ok
}
