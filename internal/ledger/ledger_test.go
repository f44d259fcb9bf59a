package ledger_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/ledger"
)

// open opens one more lane, of one hand.
func open(l *ledger.Ledger) int { return l.OpenLane(l.Deal(l.Hands+1, 1)) }

func TestALaneGetsChunksInOrderUntilNoneIsLeft(t *testing.T) {
	t.Parallel()
	l := ledger.New(3)
	lane := open(l)
	g, err := l.Lease(ledger.Request{Lane: lane, Attempt: 1, Want: 1})
	require.NoError(t, err)
	require.Equal(t, []ledger.Lease{{Chunk: 0}}, g.Chunks)
	require.False(t, g.Exhausted)

	g, err = l.Lease(ledger.Request{Lane: lane, Attempt: 1, Want: 9, Commits: []ledger.Commit{commit(0, 5)}})
	require.NoError(t, err)
	require.Equal(t, []ledger.Lease{{Chunk: 1}}, g.Chunks, "no more than half of the even share at once")
	require.Equal(t, int64(5), g.Totals.Completed)

	g, err = l.Lease(ledger.Request{Lane: lane, Attempt: 1, Want: 9})
	require.NoError(t, err)
	require.Equal(t, []ledger.Lease{{Chunk: 2}}, g.Chunks)
	require.True(t, g.Exhausted)
}

func TestALaneGetsTheLeastThatItNeedsButNotTheShareOfOthers(t *testing.T) {
	t.Parallel()
	const chunks, lanes = 24, 4
	tests := []struct{ want, least, granted int }{
		{want: 9, least: 0, granted: 3},
		{want: 9, least: 2, granted: 3},
		{want: 9, least: 5, granted: 5},
		{want: 9, least: 8, granted: 6},
		{want: 1, least: 8, granted: 1},
	}
	for _, tt := range tests {
		l := ledger.New(chunks)
		lane := open(l)
		for range lanes - 1 {
			open(l)
		}
		g, err := l.Lease(ledger.Request{Lane: lane, Attempt: 1, Want: tt.want, Least: tt.least})
		require.NoError(t, err)
		require.Len(t, g.Chunks, tt.granted, "%+v", tt)
	}
}

func TestALaterAttemptTakesOverWhatItsLaneHeld(t *testing.T) {
	t.Parallel()
	l := ledger.New(8)
	lane := open(l)
	_, err := l.Lease(ledger.Request{Lane: lane, Attempt: 1, Want: 2})
	require.NoError(t, err)
	_, err = l.Lease(ledger.Request{Lane: lane, Attempt: 1, Want: 1, Commits: []ledger.Commit{commit(0, 7)}})
	require.NoError(t, err)

	g, err := l.Lease(ledger.Request{Lane: lane, Attempt: 2, Want: 1})
	require.NoError(t, err)
	require.Equal(t, []ledger.Lease{{Chunk: 1, Touched: true}, {Chunk: 2, Touched: true}}, g.Chunks)
	require.Equal(t, int64(7), g.Totals.Completed, "what the first attempt has committed counts on")

	_, err = l.Lease(ledger.Request{Lane: lane, Attempt: 1, Commits: []ledger.Commit{commit(1, 1)}})
	require.ErrorIs(t, err, ledger.ErrFenced)
	require.Equal(t, int64(1), l.Done)
}

func TestACommitOfAChunkThatIsNotHeldIsRefusedWhole(t *testing.T) {
	t.Parallel()
	l := ledger.New(4)
	lane := open(l)
	_, err := l.Lease(ledger.Request{Lane: lane, Attempt: 1, Want: 1})
	require.NoError(t, err)
	_, err = l.Lease(ledger.Request{Lane: lane, Attempt: 1, Commits: []ledger.Commit{commit(0, 1), commit(3, 1)}})
	require.ErrorIs(t, err, ledger.ErrFenced)
	require.Zero(t, l.Done)
}

func TestAStoppedLedgerHandsNothingOutAndStillBooks(t *testing.T) {
	t.Parallel()
	l := ledger.New(4)
	lane := open(l)
	_, err := l.Lease(ledger.Request{Lane: lane, Attempt: 1, Want: 2})
	require.NoError(t, err)
	l.Stop(ledger.Abort)
	l.Stop(ledger.Drain)
	g, err := l.Lease(ledger.Request{Lane: lane, Attempt: 1, Want: 2, Leaving: true, Commits: []ledger.Commit{commit(1, 3)}})
	require.NoError(t, err)
	require.Equal(t, ledger.Abort, g.Stop, "the harder stop stays")
	require.Empty(t, g.Chunks)
	require.Equal(t, []int64{0}, l.Returned)
	require.Equal(t, int64(3), l.Left.Completed)

	l.Resume()
	next := open(l)
	g, err = l.Lease(ledger.Request{Lane: next, Attempt: 1, Want: 1})
	require.NoError(t, err)
	require.Equal(t, []ledger.Lease{{Chunk: 0, Touched: true}}, g.Chunks, "what came back goes out first")
}

func TestWhatALaneLeavesBehindCountsUntilSomebodyTakesItUp(t *testing.T) {
	t.Parallel()
	l := ledger.New(4)
	lane := open(l)
	_, err := l.Lease(ledger.Request{Lane: lane, Attempt: 1, Want: 2})
	require.NoError(t, err)
	left := ledger.Partial{Chunk: 1, Totals: ledger.Totals{Completed: 2, Failed: 1}}
	foreign := ledger.Partial{Chunk: 3, Totals: ledger.Totals{Completed: 9}}
	_, err = l.Lease(ledger.Request{
		Lane: lane, Attempt: 1, Leaving: true, Commits: []ledger.Commit{commit(0, 5)}, Partials: []ledger.Partial{left, foreign},
	})
	require.NoError(t, err)
	require.Equal(t, ledger.Totals{Completed: 7, Failed: 1}, l.Kept())

	_, err = l.Lease(ledger.Request{Lane: open(l), Attempt: 1, Want: 1})
	require.NoError(t, err)
	require.Equal(t, ledger.Totals{Completed: 5}, l.Kept(), "from here on the lane tells of it")
}

func TestHoldersOfDifferentAttemptsHaveDifferentNames(t *testing.T) {
	t.Parallel()
	require.NotEqual(t, ledger.Holder(1, 12), ledger.Holder(11, 2))
	require.NotEqual(t, ledger.Holder(0, 1), ledger.Holder(0, 2))
}

// commit is that of a chunk with so many answered requests.
func commit(chunk, completed int64) ledger.Commit {
	return ledger.Commit{Chunk: chunk, Totals: ledger.Totals{Completed: completed}}
}

// TestWhateverHappensEachChunkIsCommittedOnce plays lanes that lease, commit,
// crash, come back as later attempts, speak again when they are over, leave, are
// told to stop, and a workflow that goes on in a new run now and then.
func TestWhateverHappensEachChunkIsCommittedOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		t.Repeat(map[string]func(*rapid.T){
			"":         w.invariants,
			"open":     w.open,
			"lease":    w.lease,
			"crash":    w.crash,
			"zombie":   w.zombie,
			"leave":    w.leave,
			"drain":    w.drain,
			"stop":     w.stop,
			"rollover": w.rollover,
		})
		w.finish(t)
	})
}

// world is the ledger and what the lanes believe.
type world struct {
	ledger    *ledger.Ledger
	lanes     []*attempt // open ones, with their latest attempt
	zombies   []attempt  // attempts that are over
	committed map[int64]int
}

// attempt is one attempt of a lane and the chunks that it believes to hold.
type attempt struct {
	lane, number int
	held         []int64
	draining     bool
}

func newWorld(t *rapid.T) *world {
	return &world{ledger: ledger.New(rapid.Int64Range(0, 60).Draw(t, "chunks")), committed: map[int64]int{}}
}

func (w *world) open(t *rapid.T) {
	if len(w.lanes) >= 6 || w.ledger.Stopped != ledger.Go {
		t.Skip("no more lanes")
	}
	w.lanes = append(w.lanes, &attempt{lane: open(w.ledger), number: 1})
}

func (w *world) pick(t *rapid.T) *attempt {
	if len(w.lanes) == 0 {
		t.Skip("no lane")
	}
	return w.lanes[rapid.IntRange(0, len(w.lanes)-1).Draw(t, "lane")]
}

func (w *world) lease(t *rapid.T) {
	a := w.pick(t)
	w.ask(t, a, rapid.IntRange(0, 5).Draw(t, "want"), rapid.IntRange(0, len(a.held)).Draw(t, "commits"), false)
}

func (w *world) leave(t *rapid.T) {
	a := w.pick(t)
	w.ask(t, a, 0, rapid.IntRange(0, len(a.held)).Draw(t, "commits"), true)
	w.zombies = append(w.zombies, *a)
	w.remove(a)
}

// drain makes a lane give back what it does not keep, and get nothing more.
func (w *world) drain(t *rapid.T) {
	a := w.pick(t)
	keep := a.held[:rapid.IntRange(0, len(a.held)).Draw(t, "keep")]
	g, err := w.ledger.Lease(ledger.Request{Lane: a.lane, Attempt: a.number, Want: 3, Draining: true, Keep: keep})
	require.NoError(t, err)
	require.True(t, g.Draining)
	require.Empty(t, g.Chunks)
	a.held, a.draining = keep, true
}

// ask sends a request that must be admitted, and books the answer.
func (w *world) ask(t *rapid.T, a *attempt, want, commits int, leaving bool) {
	least := rapid.IntRange(0, want).Draw(t, "least")
	r := ledger.Request{Lane: a.lane, Attempt: a.number, Want: want, Least: least, Leaving: leaving}
	for _, chunk := range a.held[:commits] {
		r.Commits = append(r.Commits, commit(chunk, 1))
	}
	require.True(t, w.ledger.Admits(r))
	g, err := w.ledger.Lease(r)
	require.NoError(t, err)
	for _, chunk := range a.held[:commits] {
		w.committed[chunk]++
	}
	a.held = a.held[commits:]
	for _, lease := range g.Chunks {
		a.held = append(a.held, lease.Chunk)
	}
	if leaving || a.draining || w.ledger.Stopped != ledger.Go {
		require.Empty(t, g.Chunks)
	}
}

// crash starts the lane's next attempt, which asks what it holds.
func (w *world) crash(t *rapid.T) {
	a := w.pick(t)
	w.zombies = append(w.zombies, *a)
	before := a.held
	a.number++
	a.held, a.draining = nil, false
	r := ledger.Request{Lane: a.lane, Attempt: a.number}
	g, err := w.ledger.Lease(r)
	require.NoError(t, err)
	for _, lease := range g.Chunks {
		require.True(t, lease.Touched)
		a.held = append(a.held, lease.Chunk)
	}
	require.ElementsMatch(t, before, a.held)
}

// zombie speaks for an attempt that is over: it must change nothing.
func (w *world) zombie(t *rapid.T) {
	if len(w.zombies) == 0 {
		t.Skip("nobody is over")
	}
	z := w.zombies[rapid.IntRange(0, len(w.zombies)-1).Draw(t, "zombie")]
	before := w.dump(t)
	r := ledger.Request{Lane: z.lane, Attempt: z.number, Want: 3, Leaving: rapid.Bool().Draw(t, "leaving")}
	for _, chunk := range z.held {
		r.Commits = append(r.Commits, commit(chunk, 1))
	}
	require.False(t, w.ledger.Admits(r))
	_, err := w.ledger.Lease(r)
	require.ErrorIs(t, err, ledger.ErrFenced)
	require.Equal(t, before, w.dump(t))
}

func (w *world) stop(t *rapid.T) {
	w.ledger.Stop(rapid.SampledFrom([]ledger.Stop{ledger.Drain, ledger.Abort}).Draw(t, "how"))
}

// rollover makes every lane leave and carries the books through JSON, as a
// continue-as-new does.
func (w *world) rollover(t *rapid.T) {
	w.ledger.Stop(ledger.Drain)
	for _, a := range w.lanes {
		w.ledger.CloseLane(a.lane)
		w.zombies = append(w.zombies, *a)
	}
	w.lanes = nil
	w.ledger.TakeCommits()
	next := &ledger.Ledger{}
	require.NoError(t, json.Unmarshal([]byte(w.dump(t)), next))
	w.ledger = next
	w.ledger.Resume()
}

func (w *world) remove(a *attempt) {
	for i, other := range w.lanes {
		if other == a {
			w.lanes = append(w.lanes[:i], w.lanes[i+1:]...)
			return
		}
	}
}

func (w *world) dump(t *rapid.T) string {
	data, err := json.Marshal(w.ledger)
	require.NoError(t, err)
	return string(data)
}

func (w *world) invariants(t *rapid.T) {
	owners := map[int64]int{}
	for _, lane := range w.ledger.Lanes {
		for _, chunk := range lane.Held {
			owners[chunk]++
		}
	}
	for _, chunk := range w.ledger.Returned {
		owners[chunk]++
	}
	for chunk := range w.committed {
		owners[chunk]++
	}
	for chunk := w.ledger.Next; chunk < w.ledger.Chunks; chunk++ {
		owners[chunk]++
	}
	require.Len(t, owners, int(w.ledger.Chunks), "a chunk is lost")
	for chunk, n := range owners {
		require.Equal(t, 1, n, "chunk %d is in %d places", chunk, n)
	}
	require.Equal(t, int64(len(w.committed)), w.ledger.Done)
}

// finish lets one lane do the rest and counts.
func (w *world) finish(t *rapid.T) {
	w.rollover(t)
	w.open(t)
	last := w.lanes[0]
	for !w.ledger.Complete() {
		w.ask(t, last, 4, len(last.held), false)
	}
	w.ask(t, last, 0, len(last.held), true)
	for chunk := range w.ledger.Chunks {
		require.Equal(t, 1, w.committed[chunk])
	}
	require.Equal(t, w.ledger.Chunks, w.ledger.Left.Completed, "totals count each commit once")
}
