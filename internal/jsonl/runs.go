package jsonl

import (
	"bufio"
	"container/heap"
	"errors"
	"fmt"
	"io"
	"os"
)

// pulseEvery is the number of sightings merged between two calls of pulse.
const pulseEvery = 1 << 16

// Buffers of files are budget divided by their number, within these bounds.
const (
	minFileBuffer = 4 << 10
	maxFileBuffer = 64 << 10
)

// runs is a temporary file of sorted sightings, one sorted run after another.
// The file is made with the first run.
type runs struct {
	dir    string
	budget int // bytes of buffers while merging
	file   *os.File
	named  bool    // file still has its name
	ends   []int64 // where each run ends in file
}

func (r *runs) empty() bool { return len(r.ends) == 0 }

// write appends a run.
func (r *runs) write(sorted []sighting) error {
	if err := r.create(); err != nil {
		return err
	}
	out := bufio.NewWriterSize(r.file, maxFileBuffer)
	for _, s := range sorted {
		if _, err := out.Write(s.append(out.AvailableBuffer())); err != nil {
			return fmt.Errorf("write custom_ids: %w", err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write custom_ids: %w", err)
	}
	var end int64
	if !r.empty() {
		end = r.ends[len(r.ends)-1]
	}
	r.ends = append(r.ends, end+int64(len(sorted))*sightingSize)
	return nil
}

// create makes the file and takes away its name at once, so that it goes with
// the process whatever happens. Systems that keep the name of an open file have
// it removed by close.
func (r *runs) create() (err error) {
	if r.file != nil {
		return nil
	}
	if r.file, err = os.CreateTemp(r.dir, "headrace-ids-*"); err != nil {
		return fmt.Errorf("create file for custom_ids: %w", err)
	}
	r.named = os.Remove(r.file.Name()) != nil
	return nil
}

func (r *runs) close() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	if r.named {
		err = errors.Join(err, os.Remove(r.file.Name()))
	}
	return err
}

// merge calls note for every sighting of all runs, in order.
func (r *runs) merge(pulse func() error, note func(sighting)) error {
	open, err := r.open()
	if err != nil {
		return err
	}
	for n := 1; len(open) > 0; n++ {
		if n%pulseEvery == 0 {
			if err := pulse(); err != nil {
				return err
			}
		}
		note(open[0].next)
		switch err := open[0].read(); {
		case err == nil:
			heap.Fix(&open, 0)
		case errors.Is(err, io.EOF):
			heap.Pop(&open)
		default:
			return err
		}
	}
	return nil
}

// open returns a cursor at the start of every run, as a heap.
func (r *runs) open() (cursors, error) {
	size := min(max(r.budget/len(r.ends), minFileBuffer), maxFileBuffer)
	open := make(cursors, len(r.ends))
	var start int64
	for i, end := range r.ends {
		run := io.NewSectionReader(r.file, start, end-start)
		open[i] = &cursor{in: bufio.NewReaderSize(run, size)}
		if err := open[i].read(); err != nil {
			return nil, err
		}
		start = end
	}
	heap.Init(&open)
	return open, nil
}

// cursor reads one run.
type cursor struct {
	in   *bufio.Reader
	next sighting
}

// read moves to the next sighting. After the last one the error is io.EOF.
func (c *cursor) read() error {
	b, err := c.in.Peek(sightingSize)
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	if err != nil {
		return fmt.Errorf("read custom_ids: %w", err)
	}
	c.next = decodeSighting(b)
	_, err = c.in.Discard(sightingSize)
	return err
}

// cursors is a heap, the one with the least sighting on top.
type cursors []*cursor

func (c cursors) Len() int           { return len(c) }
func (c cursors) Less(i, j int) bool { return c[i].next.compare(c[j].next) < 0 }
func (c cursors) Swap(i, j int)      { c[i], c[j] = c[j], c[i] }

// Push is never called: all cursors are there from the start.
func (c *cursors) Push(x any) { *c = append(*c, x.(*cursor)) }

// Pop takes off the last cursor, as container/heap asks for.
func (c *cursors) Pop() any {
	last := len(*c) - 1
	x := (*c)[last]
	*c = (*c)[:last]
	return x
}
