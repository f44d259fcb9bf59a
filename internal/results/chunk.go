package results

import (
	"cmp"
	"slices"

	"github.com/headrace/headrace/internal/ledger"
)

// chunk is an open chunk. Its fields are guarded by the recorder's mutex; while
// writing is set, one goroutine is writing it, and nobody else starts to.
type chunk struct {
	id       int64
	requests int

	entries  []entry // in the order in which they came
	written  int     // of entries, how many are in the store
	armed    bool    // a flush is due
	writing  bool
	finished bool // written whole

	segments  int      // written so far
	leftovers []string // objects that go once the chunk is written whole
}

func (c *chunk) complete() bool { return len(c.entries) == c.requests }

// startWriting writes a chunk in the background until nothing of it is
// unwritten. The recorder's mutex is held.
func (r *Recorder) startWriting(c *chunk) {
	if c.writing || r.ctx.Err() != nil {
		return
	}
	c.writing = true
	r.writing++
	go func() {
		r.slots <- struct{}{}
		defer func() { <-r.slots }()
		for entries := r.unwrittenOf(c); entries != nil; entries = r.unwrittenOf(c) {
			if len(entries) == c.requests {
				r.writeWhole(c, entries)
			} else {
				r.writeSegment(c, entries)
			}
		}
	}()
}

// unwrittenOf returns the entries of a chunk of which some are unwritten. When
// there are none, or the recorder is closed, it returns nil: the writer ends.
func (r *Recorder) unwrittenOf(c *chunk) []entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.written.Broadcast()
	if c.finished || r.ctx.Err() != nil || !c.complete() && c.written == len(c.entries) {
		c.writing = false
		r.writing--
		r.spill()
		return nil
	}
	return slices.Clone(c.entries)
}

// writeSegment writes the entries that are not yet in the store.
func (r *Recorder) writeSegment(c *chunk, entries []entry) {
	key := r.run.Segment(c.id, r.holder, c.segments)
	fresh := entries[c.written:]
	if !r.persist(func() error { return r.store.Put(r.ctx, key, concat(fresh)) }) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c.segments++
	c.leftovers = append(c.leftovers, key)
	var offset int64
	for i := c.written; i < len(entries); i++ {
		e := &c.entries[i]
		e.key, e.offset = key, offset
		offset += e.bytes
	}
	c.written = len(entries)
	r.unwritten -= offset
	r.kept += offset
}

// writeWhole writes a complete chunk: its answers and its errors, each sorted
// by input line. Only when both are there does it delete what they replace.
func (r *Recorder) writeWhole(c *chunk, entries []entry) {
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.line, b.line) })
	var answers, others []entry
	commit := ledger.Commit{Chunk: c.id, Holder: r.holder}
	for _, e := range entries {
		commit.Add(e.totals())
		if e.result == Answered {
			answers = append(answers, e)
			commit.OutputBytes += e.bytes
		} else {
			others = append(others, e)
			commit.ErrorBytes += e.bytes
		}
	}
	if !r.writeObject(r.run.Output(c.id, r.holder), answers) || !r.writeObject(r.run.Errors(c.id, r.holder), others) {
		return
	}
	for _, key := range c.leftovers {
		_ = r.store.Delete(r.ctx, key) // the end of the batch deletes what stays
	}
	r.finish(c, commit)
}

// writeObject writes entries under key, unless there are none.
func (r *Recorder) writeObject(key string, entries []entry) bool {
	if len(entries) == 0 {
		return true
	}
	if !slices.ContainsFunc(entries, func(e entry) bool { return e.text == nil }) {
		return r.persist(func() error { return r.store.Put(r.ctx, key, concat(entries)) })
	}
	return r.persist(func() error {
		w, err := r.store.Create(r.ctx, key)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := copyEntry(r.ctx, r.store, w, e); err != nil {
				w.Abort()
				return err
			}
		}
		return w.Commit()
	})
}

// persist tries to write until it succeeds or the recorder is closed.
func (r *Recorder) persist(write func() error) bool { return r.patience.Persist(r.ctx, write) == nil }

func concat(entries []entry) []byte {
	var n int64
	for _, e := range entries {
		n += e.bytes
	}
	b := make([]byte, 0, n)
	for _, e := range entries {
		b = append(b, e.text...)
	}
	return b
}
