package results

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/headrace/headrace/internal/store"
)

// Lines is a set of input lines. It takes a bit for each line of the input.
type Lines struct{ bits []uint64 }

const lineBits = 64

// Add adds a line, from 1.
func (l *Lines) Add(line int64) {
	for int64(len(l.bits)) <= line/lineBits {
		l.bits = append(l.bits, make([]uint64, len(l.bits)+1)...)
	}
	l.bits[line/lineBits] |= 1 << (line % lineBits)
}

// Has reports whether a line is in the set.
func (l *Lines) Has(line int64) bool {
	return line/lineBits < int64(len(l.bits)) && l.bits[line/lineBits]>>(line%lineBits)&1 == 1
}

// AddOutput adds the lines that an object with answers holds, see store.Run.Output.
// It reads the object in bounded memory.
func (l *Lines) AddOutput(ctx context.Context, s *store.Store, key string) error {
	r, err := s.Reader(ctx, key, 0, -1)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	const enough = 64 << 10 // for the id of a line
	br := bufio.NewReaderSize(r, enough)
	for begins := true; ; {
		text, err := br.ReadSlice('\n')
		if errors.Is(err, io.EOF) && len(text) == 0 {
			return nil
		}
		if begins {
			n, err := NumberOf(text)
			if err != nil {
				return fmt.Errorf("read %s: %w", key, err)
			}
			l.Add(n)
		}
		begins = err == nil
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("read %s: %w", key, err)
		}
	}
}

// AddAnswered adds every line of a run for which anybody has written an answer,
// whether it was committed or not. It is for runs that nobody has finished.
func (l *Lines) AddAnswered(ctx context.Context, s *store.Store, run store.Run) error {
	for key, err := range s.Keys(ctx, run.ChunksPrefix()) {
		switch {
		case err != nil:
			return err
		case strings.HasSuffix(key, ".out"):
			err = l.AddOutput(ctx, s, key)
		case strings.HasSuffix(key, ".seg"):
			err = eachLine(ctx, s, key, func(e entry) {
				if e.result == Answered {
					l.Add(e.line)
				}
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}
