package results

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/headrace/headrace/internal/ledger"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
)

// Times and sizes of a Recorder.
const (
	// flushEvery is the longest that a line waits for its segment to be
	// written. With the write itself it stays below the 250 ms within which a
	// result must be safe.
	flushEvery = 175 * time.Millisecond
	// unwrittenLimit bounds the bytes that wait to be written; beyond it, Put
	// waits.
	unwrittenLimit = 64 << 20
	// memoryLimit bounds the bytes of open chunks that are in segments already
	// and stay in memory only to be written once more at the end.
	memoryLimit = 16 << 20
	// writers bounds the writes under way.
	writers = 8
)

// Recorder keeps the results of one attempt of a lane. It is safe for
// concurrent use.
type Recorder struct {
	store  *store.Store
	run    store.Run
	holder string

	ctx    context.Context //nolint:containedctx // writes outlive the call that brought their data
	cancel context.CancelFunc
	slots  chan struct{}

	patience store.Patience

	mu        sync.Mutex
	written   sync.Cond // something has been written, or a writer has ended
	chunks    map[int64]*chunk
	writing   int   // chunks that are being written
	unwritten int64 // bytes in memory alone
	kept      int64 // bytes in memory and in segments
	totals    ledger.Totals
	commits   []ledger.Commit
}

// NewRecorder returns a recorder that writes as holder, see ledger.Holder. The
// end of ctx does not end writes: what was paid for is kept. Close does.
func NewRecorder(ctx context.Context, s *store.Store, run store.Run, holder string) *Recorder {
	r := &Recorder{store: s, run: run, holder: holder, chunks: map[int64]*chunk{}, slots: make(chan struct{}, writers)}
	r.ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	r.written.L = &r.mu
	return r
}

// Open begins a chunk of the given number of requests. For a chunk that
// somebody held before it reads what they left and returns the input lines
// whose results are there already.
func (r *Recorder) Open(ctx context.Context, id int64, requests int, touched bool) ([]int64, error) {
	c := &chunk{id: id, requests: requests}
	if touched {
		var err error
		if c.entries, c.leftovers, err = load(ctx, r.store, r.run, id, memoryLimit); err != nil {
			return nil, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.chunks[id] = c
	have := make([]int64, len(c.entries))
	for i, e := range c.entries {
		have[i] = e.line
		r.totals.Add(e.totals())
		r.kept += int64(len(e.text))
	}
	c.written = len(c.entries)
	if c.complete() {
		r.startWriting(c)
	}
	r.spill()
	return have, nil
}

// Put adds the line of one request, which ends with a line break and belongs
// to the recorder from here on. It waits while too much is unwritten and while
// writing fails, until ctx ends.
func (r *Recorder) Put(ctx context.Context, id, line int64, result Result, usage openai.Usage, text []byte) error {
	// While writing fails no results may come: whoever brings them would go on
	// making calls whose results a crash loses.
	if err := r.patience.Await(ctx); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.await(ctx, func() bool { return r.unwritten < unwrittenLimit }); err != nil {
		return err
	}
	c := r.chunks[id]
	e := entry{line: line, result: result, usage: usage, bytes: int64(len(text)), text: text}
	c.entries = append(c.entries, e)
	r.totals.Add(e.totals())
	r.unwritten += e.bytes
	switch {
	case c.complete():
		r.startWriting(c)
	case !c.armed:
		c.armed = true
		time.AfterFunc(flushEvery, func() { r.flushChunk(c) })
	}
	return nil
}

// await waits, with mu held, until ok or until ctx ends.
func (r *Recorder) await(ctx context.Context, ok func() bool) error {
	if ok() {
		return nil
	}
	defer context.AfterFunc(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.written.Broadcast()
	})()
	for !ok() {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.written.Wait()
	}
	return nil
}

func (r *Recorder) flushChunk(c *chunk) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.armed = false
	if c.written < len(c.entries) {
		r.startWriting(c)
	}
}

// Commits returns the chunks that were finished since the last call.
func (r *Recorder) Commits() []ledger.Commit {
	r.mu.Lock()
	defer r.mu.Unlock()
	commits := r.commits
	r.commits = nil
	return commits
}

// Begun returns the chunks of which something is kept or may come, in order: those
// that are open, but for the ones of which as many requests are untouched as they
// have, and those that Commits will return.
func (r *Recorder) Begun(untouched map[int64]int) []int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	var begun []int64
	for id, c := range r.chunks {
		if untouched[id] < c.requests {
			begun = append(begun, id)
		}
	}
	for _, commit := range r.commits {
		begun = append(begun, commit.Chunk)
	}
	slices.Sort(begun)
	return begun
}

// Partials sums what is in the store of each chunk that is not finished, by chunk.
func (r *Recorder) Partials() []ledger.Partial {
	r.mu.Lock()
	defer r.mu.Unlock()
	var partials []ledger.Partial
	for id, c := range r.chunks {
		p := ledger.Partial{Chunk: id}
		for _, e := range c.entries[:c.written] {
			p.Add(e.totals())
		}
		if c.written > 0 {
			partials = append(partials, p)
		}
	}
	slices.SortFunc(partials, func(x, y ledger.Partial) int { return cmp.Compare(x.Chunk, y.Chunk) })
	return partials
}

// Totals sums all results since the recorder was made, those that Open found
// included.
func (r *Recorder) Totals() ledger.Totals {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.totals
}

// Trouble returns why results cannot be written at the moment and since when,
// or nil.
func (r *Recorder) Trouble() (time.Time, error) { return r.patience.Trouble() }

// Flush writes whatever is not yet written and waits until it is in the store,
// or until ctx ends.
func (r *Recorder) Flush(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.chunks {
		if c.written < len(c.entries) {
			r.startWriting(c)
		}
	}
	return r.await(ctx, func() bool { return r.writing == 0 })
}

// Close gives up whatever is not yet written and waits for writers to end. It
// may be called more than once. Flush first.
func (r *Recorder) Close() {
	r.cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.writing > 0 {
		r.written.Wait()
	}
}

// finish books a chunk that has been written whole.
func (r *Recorder) finish(c *chunk, commit ledger.Commit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range c.entries {
		if e.stored() {
			r.kept -= int64(len(e.text))
		} else {
			r.unwritten -= e.bytes
		}
	}
	c.finished = true
	delete(r.chunks, c.id)
	r.commits = append(r.commits, commit)
}

// spill forgets the text of lines that are in the store, oldest chunk first,
// until no more than memoryLimit is kept.
func (r *Recorder) spill() {
	if r.kept <= memoryLimit {
		return
	}
	ids := make([]int64, 0, len(r.chunks))
	for id, c := range r.chunks {
		if !c.writing {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		for i := range r.chunks[id].entries {
			if r.kept <= memoryLimit {
				return
			}
			e := &r.chunks[id].entries[i]
			if e.stored() {
				r.kept -= int64(len(e.text))
				e.text = nil
			}
		}
	}
}
