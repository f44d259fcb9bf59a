package record

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/task"
)

// Times and sizes of a Journal.
const (
	// linger is how long the first result of a part waits for others, so that
	// those which come together are written together.
	linger = 3 * time.Millisecond
	// writers bounds the writes under way.
	writers = 8
)

// Journal writes results. It is safe for concurrent use.
type Journal struct {
	store *store.Store
	slots chan struct{}

	ctx     context.Context //nolint:containedctx // writes outlive the call that brought their data
	cancel  context.CancelFunc
	writing sync.WaitGroup

	// Patience tells whether results can be written at the moment.
	store.Patience
}

// NewJournal returns a journal that writes until it is closed.
func NewJournal(s *store.Store) *Journal {
	j := &Journal{store: s, slots: make(chan struct{}, writers)}
	j.ctx, j.cancel = context.WithCancel(context.Background()) //nolint:forbidigo // Close ends it
	return j
}

// Close gives up what is not yet written, and waits for writers to end.
func (j *Journal) Close() {
	j.cancel()
	j.writing.Wait()
}

// Page writes the results of one part.
type Page struct {
	journal *Journal
	part    task.Part
	kept    func(Result)

	// Of the writer alone, of which there is one at a time.
	next  int            // number of the next object
	there map[int]Result // what is in the objects before it, once anybody else has written one

	mu      sync.Mutex
	open    int // results that are still expected
	pending []Result
	writing bool
	hurry   chan struct{} // closed when there is nothing to linger for
}

// Open begins to write results of a part from object next on, see Load. kept is
// called once for each result when it is in the store: with the result that was
// put, or with another one of the same task that somebody else has written
// first.
func (j *Journal) Open(part task.Part, next int, kept func(Result)) *Page {
	return &Page{journal: j, part: part, next: next, kept: kept}
}

// Expect says that so many more results will come, fewer if negative. The page
// is written without delay when none is expected any more.
func (p *Page) Expect(more int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open += more
	p.hasten()
}

// hasten ends the lingering of a page that is complete.
func (p *Page) hasten() {
	if p.open <= 0 && p.hurry != nil {
		close(p.hurry)
		p.hurry = nil
	}
}

// Put adds a result, one of those that were expected. It does not wait.
func (p *Page) Put(r Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending = append(p.pending, r)
	p.open--
	if p.writing {
		p.hasten()
		return
	}
	p.writing = true
	p.hurry = make(chan struct{})
	hurry := p.hurry
	p.hasten()
	p.journal.writing.Go(func() { p.write(hurry) })
}

// write writes until nothing is pending.
func (p *Page) write(hurry <-chan struct{}) {
	timer := time.NewTimer(linger)
	select {
	case <-hurry:
	case <-timer.C:
	case <-p.journal.ctx.Done():
	}
	timer.Stop()
	p.journal.slots <- struct{}{}
	defer func() { <-p.journal.slots }()
	for {
		p.mu.Lock()
		results := p.pending
		p.pending, p.hurry = nil, nil
		if len(results) == 0 || p.journal.ctx.Err() != nil {
			p.writing = false
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		p.keep(results)
	}
}

// keep writes results as the next object that is free.
func (p *Page) keep(results []Result) {
	for {
		if results = p.without(results); len(results) == 0 {
			return
		}
		data := encode(results)
		err := p.journal.Persist(p.journal.ctx, func() error { return p.journal.store.PutNew(p.journal.ctx, key(p.part, p.next), data) })
		switch {
		case err == nil:
			p.next++
			for _, r := range results {
				p.kept(r)
			}
			return
		case !errors.Is(err, store.ErrExists):
			return // closed
		}
		// Somebody else writes this part as well, or an earlier try of ours came
		// through. What is there comes first.
		if p.journal.Persist(p.journal.ctx, func() (err error) {
			p.there, p.next, err = Load(p.journal.ctx, p.journal.store, p.part)
			return err
		}) != nil {
			return
		}
	}
}

// without returns the results of tasks that have none yet, and reports the
// others as they are in the store.
func (p *Page) without(results []Result) []Result {
	var rest []Result
	for _, r := range results {
		if earlier, ok := p.there[r.N]; ok {
			p.kept(earlier)
		} else {
			rest = append(rest, r)
		}
	}
	return rest
}
