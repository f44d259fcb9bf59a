package ledger

import (
	"errors"
	"slices"
)

// ErrFenced refuses an attempt that is over: a later one has taken its lane,
// or the lane has left.
var ErrFenced = errors.New("this attempt of the lane is over")

// Ledger is the state of the books. Its fields are exported only so that it
// survives a continue-as-new as JSON; use the methods.
type Ledger struct {
	// Chunks is the number of chunks in all; those from Next on were never
	// leased. Returned holds, in order, those that were leased and came back.
	Chunks   int64   `json:"chunks"`
	Next     int64   `json:"next"`
	Returned []int64 `json:"returned,omitempty"`

	// Lanes are those that are open, by ascending id. LaneIDs is the number of
	// ids given out; an id is never given twice.
	Lanes   []Lane `json:"lanes,omitempty"`
	LaneIDs int    `json:"lane_ids"`

	// Done is the number of committed chunks. Commits are those since the last
	// TakeCommits, in the order in which they came.
	Done    int64    `json:"done"`
	Commits []Commit `json:"commits,omitempty"`

	// Left sums what lanes that have left committed. Partials are what they have
	// left behind in chunks that nobody has taken up yet.
	Left     Totals    `json:"left"`
	Partials []Partial `json:"partials,omitempty"`

	Stopped Stop `json:"stopped,omitempty"`

	// Hands is what was dealt last, see Deal.
	Hands int `json:"hands,omitempty"`
}

// Lane is a lane's page in the books.
type Lane struct {
	ID      int     `json:"id"`
	Attempt int     `json:"attempt"` // 0 until its first request
	Held    []int64 `json:"held,omitempty"`
	Totals  Totals  `json:"totals"`

	// Host is where the lane runs, as it says.
	Host string `json:"host,omitempty"`
	// Hands were dealt to the lane, of which it has been told of Told. Most is the
	// most calls that it may have in flight: never fewer than Told.
	Hands int `json:"hands,omitempty"`
	Told  int `json:"told,omitempty"`
	Most  int `json:"most,omitempty"`
	// Rest is how many requests a lane still has that will lease no more.
	Rest int `json:"rest,omitempty"`
	// Draining is set while an attempt drains: it gets nothing more.
	Draining bool `json:"draining,omitempty"`
}

// New returns the books of a batch of so many chunks.
func New(chunks int64) *Ledger { return &Ledger{Chunks: chunks} }

// OpenLane opens a page for one more lane, which begins with so many hands, and
// returns its id.
func (l *Ledger) OpenLane(hands int) int {
	id := l.LaneIDs
	l.LaneIDs++
	l.Lanes = append(l.Lanes, Lane{ID: id, Hands: hands, Told: hands, Most: hands})
	return id
}

// CloseLane closes a lane's page, if it is open, and takes back what it held.
// It is for lanes that end without a last request.
func (l *Ledger) CloseLane(id int) {
	if lane := l.lane(id); lane != nil {
		l.leave(lane)
	}
}

// Stop makes every later answer tell its lane to leave. Abort wins over Drain.
func (l *Ledger) Stop(how Stop) {
	if l.Stopped != Abort {
		l.Stopped = how
	}
}

// Resume takes back Stop, once all lanes have left.
func (l *Ledger) Resume() { l.Stopped = Go }

// Complete reports whether every chunk is committed.
func (l *Ledger) Complete() bool { return l.Done == l.Chunks }

// Available is the number of chunks that no lane holds and that are not done.
func (l *Ledger) Available() int64 { return l.Chunks - l.Next + int64(len(l.Returned)) }

// Kept sums what lanes that have left keep in the store, committed or not.
func (l *Ledger) Kept() Totals {
	kept := l.Left
	for _, p := range l.Partials {
		kept.Add(p.Totals)
	}
	return kept
}

// keepPartials books what a lane leaves behind of the chunks that it gives back.
func (l *Ledger) keepPartials(lane *Lane, partials []Partial) {
	for _, p := range partials {
		if slices.Contains(lane.Held, p.Chunk) {
			l.Partials = append(l.Partials, p)
		}
	}
}

// TakeCommits returns the commits since the last call, so that they can be
// written down elsewhere and the books stay small.
func (l *Ledger) TakeCommits() []Commit {
	commits := l.Commits
	l.Commits = nil
	return commits
}

// Lease settles one request: it books what the lane has finished and hands out
// what it wants. It returns ErrFenced, and books nothing, for an attempt that
// is over.
func (l *Ledger) Lease(r Request) (Grant, error) {
	if !l.Admits(r) {
		return Grant{}, ErrFenced
	}
	lane := l.lane(r.Lane)
	var g Grant
	if r.Attempt > lane.Attempt {
		lane.Attempt, lane.Draining = r.Attempt, false
		for _, chunk := range lane.Held {
			g.Chunks = append(g.Chunks, Lease{Chunk: chunk, Touched: true})
		}
	}
	for _, c := range r.Commits {
		l.commit(lane, c)
	}
	g.Totals, g.Stop = lane.Totals, l.Stopped
	if r.Leaving {
		l.keepPartials(lane, r.Partials)
		l.leave(lane)
		return g, nil
	}
	if r.Draining {
		l.drain(lane, r.Keep)
	}
	g.Draining = lane.Draining
	l.note(lane, r)
	g.Settings = l.tell(lane)
	if lane.Told == 0 && lane.Host == "" && g.Stop == Go {
		g.Stop = Drain // nobody can wake it
	}
	if g.Stop == Go && lane.Told > 0 {
		g.Chunks = append(g.Chunks, l.take(lane, r.Want-len(g.Chunks), r.Least-len(g.Chunks))...)
		g.Exhausted = l.Available() == 0
	}
	return g, nil
}

// Admits reports whether a request is of an attempt that is not over, and
// commits only what its lane holds.
func (l *Ledger) Admits(r Request) bool {
	lane := l.lane(r.Lane)
	if lane == nil || r.Attempt < lane.Attempt {
		return false
	}
	return !slices.ContainsFunc(r.Commits, func(c Commit) bool { return !slices.Contains(lane.Held, c.Chunk) })
}

func (l *Ledger) commit(lane *Lane, c Commit) {
	lane.Held = slices.DeleteFunc(lane.Held, func(chunk int64) bool { return chunk == c.Chunk })
	lane.Totals.Add(c.Totals)
	l.Commits = append(l.Commits, c)
	l.Done++
}

// take leases up to want chunks to a lane, those that came back first. No lane
// gets more than half of its even share of the rest at once, so that all lanes
// come to an end together; but the whole of that share where half of it is not
// even the least that the lane needs.
func (l *Ledger) take(lane *Lane, want, least int) []Lease {
	lanes, left := int64(len(l.Lanes)), l.Available()
	half, whole := left/(2*lanes), (left+lanes-1)/lanes
	n := min(int64(want), max(half, min(int64(least), whole), 1), left)
	leases := make([]Lease, 0, max(n, 0))
	for range n {
		lease := Lease{Chunk: l.Next}
		if len(l.Returned) > 0 {
			lease = Lease{Chunk: l.Returned[0], Touched: true}
			l.Returned = l.Returned[1:]
			l.Partials = slices.DeleteFunc(l.Partials, func(p Partial) bool { return p.Chunk == lease.Chunk })
		} else {
			l.Next++
		}
		lane.Held = append(lane.Held, lease.Chunk)
		leases = append(leases, lease)
	}
	return leases
}

// drain takes back what a lane holds but for what it keeps.
func (l *Ledger) drain(lane *Lane, keep []int64) {
	lane.Draining, lane.Hands = true, 0
	kept := func(chunk int64) bool { return slices.Contains(keep, chunk) }
	for _, chunk := range lane.Held {
		if !kept(chunk) {
			l.Returned = append(l.Returned, chunk)
		}
	}
	slices.Sort(l.Returned)
	lane.Held = slices.DeleteFunc(lane.Held, func(chunk int64) bool { return !kept(chunk) })
}

func (l *Ledger) leave(lane *Lane) {
	l.Returned = append(l.Returned, lane.Held...)
	slices.Sort(l.Returned)
	l.Left.Add(lane.Totals)
	id := lane.ID
	l.Lanes = slices.DeleteFunc(l.Lanes, func(o Lane) bool { return o.ID == id })
}

func (l *Ledger) lane(id int) *Lane {
	i, found := slices.BinarySearchFunc(l.Lanes, id, func(lane Lane, id int) int { return lane.ID - id })
	if !found {
		return nil
	}
	return &l.Lanes[i]
}
