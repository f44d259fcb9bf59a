package ledger_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/ledger"
)

const perLane = 8

// dealt is a ledger with hands that lanes have, as many as they can use.
func dealt(hands int) *ledger.Ledger {
	l := ledger.New(100)
	for more := l.Deal(hands, perLane); more > 0; more -= perLane {
		l.OpenLane(min(more, perLane))
	}
	return l
}

// ask sends the request of a lane that would like a chunk.
func ask(t *testing.T, l *ledger.Ledger, lane, most int) ledger.Grant {
	t.Helper()
	g, err := l.Lease(ledger.Request{Lane: lane, Attempt: 1, Want: 1, Host: "host", Most: most})
	require.NoError(t, err)
	return g
}

func TestAPauseTakesEveryHandAndHandsOutNoWork(t *testing.T) {
	t.Parallel()
	l := dealt(12)
	ask(t, l, 0, 0)
	ask(t, l, 1, 0)
	require.Zero(t, l.Deal(0, perLane))
	require.Equal(t, []string{"host"}, l.Hosts(false))
	g := ask(t, l, 0, 8)
	require.Equal(t, &ledger.Settings{}, g.Settings)
	require.Empty(t, g.Chunks)
	require.False(t, g.Exhausted, "there is work, though not now")
	require.Equal(t, ledger.Go, g.Stop, "the lane leaves by itself")
	ask(t, l, 1, 4)
	require.Empty(t, l.Hosts(false), "all have heard")
	require.Equal(t, []string{"host"}, l.Hosts(true))
}

func TestAfterAPauseOpenLanesGetTheirHandsBackAndNewOnesTheRest(t *testing.T) {
	t.Parallel()
	l := dealt(12)
	l.Deal(0, perLane)
	ask(t, l, 0, 3)
	_, err := l.Lease(ledger.Request{Lane: 1, Attempt: 1, Leaving: true})
	require.NoError(t, err)
	require.Equal(t, 4, l.Deal(12, perLane), "the calls that still drain are among those of the lane that stays")
	require.Equal(t, &ledger.Settings{Hands: 8}, ask(t, l, 0, 3).Settings)
	require.Equal(t, 4, l.Deal(12, perLane), "until somebody opens a lane")
}

func TestALaneThatCannotBeWokenDrainsWithoutHands(t *testing.T) {
	t.Parallel()
	l := dealt(4)
	l.Deal(0, perLane)
	g, err := l.Lease(ledger.Request{Lane: 0, Attempt: 1, Want: 1})
	require.NoError(t, err)
	require.Equal(t, ledger.Drain, g.Stop)
}

func TestHandsThatALaneGivesUpAreNobodysUntilItsCallsHaveEnded(t *testing.T) {
	t.Parallel()
	l := dealt(16)
	require.Zero(t, l.Deal(10, perLane))
	require.Equal(t, &ledger.Settings{Hands: 2, Confirm: true}, ask(t, l, 0, 8).Settings, "the other may have eight")
	require.Equal(t, &ledger.Settings{Hands: 2, Confirm: true}, ask(t, l, 1, 8).Settings)
	require.Equal(t, &ledger.Settings{Hands: 2, Confirm: true}, ask(t, l, 1, 6).Settings)
	require.Equal(t, &ledger.Settings{Hands: 4, Confirm: true}, ask(t, l, 0, 7).Settings)
	require.Equal(t, &ledger.Settings{Hands: 2}, ask(t, l, 1, 2).Settings)
	require.Equal(t, []string{"host"}, l.Hosts(false), "the first may have more by now")
	require.Equal(t, &ledger.Settings{Hands: 8}, ask(t, l, 0, 7).Settings)
}

func TestALaneWithLittleLeftLeavesHandsToOthers(t *testing.T) {
	t.Parallel()
	l := dealt(8)
	_, err := l.Lease(ledger.Request{Lane: 0, Attempt: 1, Host: "host", Most: 2, Rest: 2})
	require.NoError(t, err)
	require.Equal(t, 6, l.Deal(8, perLane))
}

// TestWhateverIsDealtNoMoreCallsBeginThanThereAreHands plays lanes that start and
// end calls, ask, hear the answer later, crash and leave, and commands in between.
func TestWhateverIsDealtNoMoreCallsBeginThanThereAreHands(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &floor{ledger: ledger.New(1 << 40)}
		t.Repeat(map[string]func(*rapid.T){
			"":      w.invariants,
			"deal":  func(t *rapid.T) { w.deal(rapid.IntRange(0, 40).Draw(t, "hands")) },
			"ask":   w.ask,
			"hear":  w.hear,
			"start": w.start,
			"end":   w.end,
			"crash": w.crash,
			"leave": w.leave,
			"drain": w.drain,
		})
		w.settle(t, rapid.IntRange(1, 40).Draw(t, "hands"))
	})
}

// floor is where lanes work.
type floor struct {
	ledger *ledger.Ledger
	lanes  []*worker
}

// worker is a lane.
type worker struct {
	lane, attempt int
	hands, busy   int
	answer        *ledger.Settings // not heard yet
	draining      bool
}

func (w *floor) deal(hands int) {
	for more := w.ledger.Deal(hands, perLane); more > 0; more -= perLane {
		n := min(more, perLane)
		w.lanes = append(w.lanes, &worker{lane: w.ledger.OpenLane(n), attempt: 1, hands: n})
	}
}

func (w *floor) pick(t *rapid.T, fits func(*worker) bool) *worker {
	var some []*worker
	for _, l := range w.lanes {
		if fits(l) {
			some = append(some, l)
		}
	}
	if len(some) == 0 {
		t.Skip("no such lane")
	}
	return rapid.SampledFrom(some).Draw(t, "lane")
}

func (w *floor) ask(t *rapid.T) {
	w.send(t, w.pick(t, func(l *worker) bool { return l.answer == nil }))
}

func (w *floor) send(t require.TestingT, l *worker) {
	before := *w.page(l)
	r := ledger.Request{Lane: l.lane, Attempt: l.attempt, Host: "h", Most: max(l.busy, l.hands), Draining: l.draining}
	g, err := w.ledger.Lease(r)
	require.NoError(t, err)
	l.answer = g.Settings
	if l.draining {
		require.Zero(t, l.answer.Hands)
	}
	if l.answer.Hands > before.Most {
		require.LessOrEqual(t, w.most(), w.ledger.Hands, "hands were given that others may use")
	}
}

func (w *floor) hear(t *rapid.T) { w.pick(t, func(l *worker) bool { return l.answer != nil }).hear() }

func (l *worker) hear() {
	l.hands, l.answer = l.answer.Hands, nil
}

func (w *floor) start(t *rapid.T) { w.pick(t, func(l *worker) bool { return l.busy < l.hands }).busy++ }

func (w *floor) end(t *rapid.T) { w.pick(t, func(l *worker) bool { return l.busy > 0 }).busy-- }

func (w *floor) crash(t *rapid.T) {
	l := w.pick(t, func(*worker) bool { return true })
	*l = worker{lane: l.lane, attempt: l.attempt + 1}
}

// drain is the end of a lane's worker: it starts no more, and says so.
func (w *floor) drain(t *rapid.T) {
	l := w.pick(t, func(l *worker) bool { return l.answer == nil && !l.draining })
	l.draining, l.hands = true, 0
	w.send(t, l)
}

func (w *floor) leave(t *rapid.T) {
	w.remove(t, w.pick(t, func(l *worker) bool { return l.hands == 0 && l.busy == 0 }))
}

func (w *floor) remove(t require.TestingT, l *worker) {
	_, err := w.ledger.Lease(ledger.Request{Lane: l.lane, Attempt: l.attempt, Leaving: true})
	require.NoError(t, err)
	for i := range w.lanes {
		if w.lanes[i] == l {
			w.lanes = append(w.lanes[:i], w.lanes[i+1:]...)
			return
		}
	}
}

// page is what the ledger knows of a lane.
func (w *floor) page(l *worker) *ledger.Lane {
	for i := range w.ledger.Lanes {
		if w.ledger.Lanes[i].ID == l.lane {
			return &w.ledger.Lanes[i]
		}
	}
	return nil
}

func (w *floor) most() int {
	sum := 0
	for _, lane := range w.ledger.Lanes {
		sum += lane.Most
	}
	return sum
}

func (w *floor) told() int {
	sum := 0
	for _, lane := range w.ledger.Lanes {
		sum += lane.Told
	}
	return sum
}

func (w *floor) invariants(t *rapid.T) {
	for _, l := range w.lanes {
		page := w.page(l)
		require.GreaterOrEqual(t, page.Most, max(l.busy, l.hands), "the ledger believes that fewer calls are in flight than there may be")
		require.LessOrEqual(t, page.Told, perLane)
	}
	require.Len(t, w.ledger.Lanes, len(w.lanes))
}

// settle deals hands for the last time, lets calls end and lanes ask until nobody
// has to: then all hands are in use, and no more.
func (w *floor) settle(t *rapid.T, hands int) {
	for _, l := range w.lanes {
		if l.answer != nil {
			l.hear()
		}
	}
	for round := 0; ; round++ {
		require.Less(t, round, 20, "no end of asking")
		w.deal(hands)
		if round > 0 && len(w.ledger.Hosts(false)) == 0 && w.told() == hands {
			break
		}
		for _, l := range append([]*worker(nil), w.lanes...) {
			l.busy = min(l.busy, l.hands)
			if l.hands == 0 && round > 2 {
				w.remove(t, l)
				continue
			}
			w.send(t, l)
			l.hear()
		}
	}
	sum := 0
	for _, l := range w.lanes {
		sum += l.hands
	}
	require.Equal(t, hands, sum)
	w.survivesJSON(t)
}

func (w *floor) survivesJSON(t *rapid.T) {
	data, err := json.Marshal(w.ledger)
	require.NoError(t, err)
	var again ledger.Ledger
	require.NoError(t, json.Unmarshal(data, &again))
	require.Equal(t, *w.ledger, again)
}
