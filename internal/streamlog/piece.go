package streamlog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strconv"

	"github.com/headrace/headrace/internal/store"
)

// head is the first line of a piece.
type head struct {
	// Writer is a random name of the attempt that has written the piece.
	Writer string `json:"writer"`
	// First is the number of the piece's first event, or of the one that would
	// follow.
	First int `json:"first"`
	// Reserved is the number from which on a later attempt may count.
	Reserved int `json:"reserved"`
	// End says that nothing follows.
	End bool `json:"end,omitempty"`
}

// piece is a run of events as it is stored: its head, and each frame after a
// line with its length.
type piece struct {
	head

	frames [][]byte
}

// next is the number after the piece's last event.
func (p *piece) next() int { return p.First + len(p.frames) }

func (p *piece) encode() []byte {
	size := 0
	for _, f := range p.frames {
		size += len(f) + len("12345678\n")
	}
	line, err := json.Marshal(p.head)
	if err != nil {
		panic(err) // plain values: it cannot fail
	}
	b := append(append(make([]byte, 0, len(line)+1+size), line...), '\n')
	for _, f := range p.frames {
		b = append(strconv.AppendInt(b, int64(len(f)), 10), '\n')
		b = append(b, f...)
	}
	return b
}

var errCorrupt = errors.New("not a piece of a stream log")

func decode(b []byte) (*piece, error) {
	line, rest, _ := bytes.Cut(b, []byte{'\n'})
	p := &piece{}
	if err := json.Unmarshal(line, &p.head); err != nil {
		return nil, errCorrupt
	}
	for len(rest) > 0 {
		length, after, _ := bytes.Cut(rest, []byte{'\n'})
		n, err := strconv.Atoi(string(length))
		if err != nil || n < 0 || n > len(after) {
			return nil, errCorrupt
		}
		p.frames = append(p.frames, after[:n:n])
		rest = after[n:]
	}
	return p, nil
}

// read reads a piece of a stream, or returns store.ErrNotFound.
func (l *Logs) read(ctx context.Context, s Stream, i int) (*piece, error) {
	b, err := l.store.Get(ctx, s.key(i))
	if err != nil {
		return nil, err
	}
	p, err := decode(b)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.key(i), err)
	}
	return p, nil
}

// count returns the number of pieces of a stream.
func (l *Logs) count(ctx context.Context, s Stream) (int, error) {
	n := 0
	for _, err := range l.store.Keys(ctx, store.TaskStreamPrefix(s.Project, s.Group, s.N)) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// locate returns the piece from which on to read for the event with the given
// number and those after it: the last one that begins no later.
func (l *Logs) locate(ctx context.Context, s Stream, number int) (int, error) {
	if number == 0 {
		return 0, nil
	}
	n, err := l.count(ctx, s)
	if err != nil {
		return 0, err
	}
	later := sort.Search(n, func(i int) bool {
		if err != nil {
			return true
		}
		var p *piece
		if p, err = l.read(ctx, s, i); err != nil {
			return true
		}
		return p.First > number
	})
	return max(later-1, 0), err
}
