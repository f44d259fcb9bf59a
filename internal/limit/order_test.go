package limit_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/queue"
)

// inOrder has three workers make every third call of a sequential queue each, and
// requires them to be made one after another, in order.
func inOrder(t *testing.T, ticket func(now int64, n int) limit.Ticket) {
	t.Helper()
	inWorld(t, queue.Settings{Concurrency: 1}, func(w *world) {
		ctx, t := w.ctx, w.T
		order := w.notes()
		var waits []func() int
		now := time.Now().UnixMilli()
		for i := range 3 {
			m := w.join(ctx, name(i), 0)
			waits = append(waits, m.crowd(ctx, 10, func(j int) limit.Ticket {
				n := 3*j + i
				ticket := ticket(now, n)
				ticket.Queue, ticket.Body = "q", []byte(strconv.Itoa(n))
				return ticket
			}))
		}
		for _, wait := range waits {
			require.Equal(t, 10, wait())
		}
		_, peak, _ := w.count()
		require.Equal(t, 1, peak)
		expected := make([]int, 30)
		for i := range expected {
			expected[i] = i
		}
		require.Equal(t, expected, *order)
	})
}

func TestASequentialQueueRunsInOrderOfAcceptanceOverAllWorkers(t *testing.T) {
	inOrder(t, func(now int64, n int) limit.Ticket { return limit.Ticket{Accepted: now + int64(n)} })
}

func TestASequentialQueueRunsWhatWasAcceptedTogetherInItsOrderOverAllWorkers(t *testing.T) {
	inOrder(t, func(now int64, n int) limit.Ticket { return limit.Ticket{Accepted: now, Flow: "f", Order: int64(n)} })
}

// Ids, which name runs, sort newest first.
func TestOfRunsThatWereAcceptedTogetherTheOlderOneIsFirst(t *testing.T) {
	const older, newer = "batch_1", "batch_0"
	inWorld(t, queue.Settings{Concurrency: 1, Paused: true}, func(w *world) {
		ctx, t := w.ctx, w.T
		order := w.notes()
		m := w.join(ctx, "m", 0)
		now := time.Now().UnixMilli()
		ticket := func(flow string, i int) limit.Ticket {
			return limit.Ticket{Queue: "q", Provider: "p", Flow: flow, Accepted: now, Order: int64(i), Priority: -1}
		}
		var waits []func() int
		for n, flow := range []string{newer, older} {
			waits = append(waits, m.crowd(ctx, 4, func(i int) limit.Ticket {
				ticket := ticket(flow, i)
				ticket.Body = []byte(strconv.Itoa(n))
				return ticket
			}))
		}
		for _, most := range []int64{1, 2} { // in order, and by shares
			w.set(queue.Change{Concurrency: &most})
			time.Sleep(time.Second)
			require.EqualValues(t, 2, m.Position(ticket(older, 1)))
			require.EqualValues(t, 6, m.Position(ticket(newer, 1)))
		}
		w.set(queue.Change{Concurrency: new(int64(1)), Paused: new(false)})
		for _, wait := range waits {
			require.Equal(t, 4, wait())
		}
		require.Equal(t, []int{1, 1, 1, 1, 0, 0, 0, 0}, *order)
	})
}

func TestWhoHasThePermitOfASequentialQueueHearsOfCallsThatComeBeforeItsNext(t *testing.T) {
	inWorld(t, queue.Settings{Concurrency: 1}, func(w *world) {
		order := w.notes()
		a, b := w.join(w.ctx, "a", 0), w.join(w.ctx, "b", 0)
		now := time.Now().UnixMilli()
		var waits []func() int
		add := func(m *member, from, n int) {
			waits = append(waits, m.crowd(w.ctx, n, func(i int) limit.Ticket {
				number := from + 2*i
				return limit.Ticket{Queue: "q", Accepted: now + int64(number), Body: []byte(strconv.Itoa(number))}
			}))
			time.Sleep(25 * time.Millisecond) // it has asked, and has its answer
		}
		add(a, 0, 1)
		add(a, 2, 3)
		add(b, 1, 3)
		for _, wait := range waits {
			wait()
		}
		require.Equal(w, []int{0, 1, 2, 3, 4, 5, 6}, *order)
	})
}
