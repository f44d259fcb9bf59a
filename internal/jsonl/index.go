package jsonl

import (
	"bufio"
	"fmt"
	"io"
	"slices"
)

// tailLines is how many of the last lines are held back until the end of the
// file is known, so that chunks can get smaller towards it. It is enough for 43
// lanes: up to there, chunks before the tail are of full size anyway.
const tailLines = 1 << 16

// rounds is how many chunks each lane would make of what is left if chunks
// stayed the size they have. With fewer, lanes finish further apart; with more,
// chunks are small long before they need to be, and a fast lane waits for its
// leases. TestLanesFinishTogether holds the figures.
const rounds = 3

// A chunk has at least a quarter as many requests as a lane has hands, and at
// least smallestChunk, while there are enough. Smaller ones end a batch no
// sooner, and each costs a lease and an object.
const (
	handsPerSmallest = 4
	smallestChunk    = 4
)

// span is where a request stands in the file.
type span struct {
	offset, end int64
	line        int64
}

// indexer cuts requests into chunks and writes the index. It follows guided
// self-scheduling (Polychronopoulos and Kuck, 1987): a chunk is a fixed share
// of what is left, so that chunks are large while there is much to do, which
// costs few leases, and small at the end, where lanes wait for the last one.
type indexer struct {
	out      *bufio.Writer
	limits   limits
	lanes    int
	smallest int // requests of a chunk
	pending  []span
	chunks   int64
}

func newIndexer(out io.Writer, lanes, hands int, l limits) *indexer {
	return &indexer{
		out:      bufio.NewWriter(out),
		limits:   l,
		lanes:    max(lanes, 1),
		smallest: max(hands/handsPerSmallest, smallestChunk),
	}
}

// add takes the next request. Once twice the tail has come together, full
// chunks are cut off until only the tail is left.
func (x *indexer) add(l Line) error {
	x.pending = append(x.pending, span{l.Offset, l.Offset + int64(len(l.Text)), l.Number})
	if len(x.pending) < 2*x.limits.tailLines {
		return nil
	}
	left := x.pending
	for len(left) > x.limits.tailLines {
		n, err := x.cut(left, x.limits.chunkRequests)
		if err != nil {
			return err
		}
		left = left[n:]
	}
	x.pending = slices.Delete(x.pending, 0, len(x.pending)-len(left))
	return nil
}

// finish cuts the tail and writes what is buffered.
func (x *indexer) finish() error {
	for left := x.pending; len(left) > 0; {
		n, err := x.cut(left, x.share(len(left)))
		if err != nil {
			return err
		}
		left = left[n:]
	}
	if err := x.out.Flush(); err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	return nil
}

// share returns how many requests the next chunk should have when so many are
// left. A lone lane has no other to finish together with.
func (x *indexer) share(left int) int {
	if x.lanes == 1 {
		return x.limits.chunkRequests
	}
	fair := (left + rounds*x.lanes - 1) / (rounds * x.lanes)
	return min(max(fair, x.smallest), x.limits.chunkRequests)
}

// cut writes a chunk of up to most of the first requests of left, as many as
// the limit in bytes lets in, but at least one. It returns how many.
func (x *indexer) cut(left []span, most int) (int, error) {
	n := 1
	for n < min(most, len(left)) && left[n].end-left[0].offset <= x.limits.chunkBytes {
		n++
	}
	c := Chunk{
		Offset:   left[0].offset,
		Length:   left[n-1].end - left[0].offset,
		Line:     left[0].line,
		Requests: int64(n),
	}
	if _, err := x.out.Write(c.append(x.out.AvailableBuffer())); err != nil {
		return 0, fmt.Errorf("write index: %w", err)
	}
	x.chunks++
	return n, nil
}
