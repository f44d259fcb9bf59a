package limit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/queue"
)

// throttledWhileCutOff has a worker be told to wait for 20 s while it cannot reach
// the allocator, which it can again after a time. It returns another worker, and
// when the first was told.
func (w *world) throttledWhileCutOff(away time.Duration) (other *member, told time.Time) {
	m, other := w.join(w.ctx, "m", 0), w.join(w.ctx, "other", 0)
	for _, m := range w.gates { // so that both have a lease
		require.True(w, m.call(w.ctx, limit.Ticket{Queue: "q"}))
	}
	cutOff := func(cut bool, answer func(string) error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		m.cut, w.answer = cut, answer
	}
	time.Sleep(time.Second)
	first := make(chan time.Time, 1)
	cutOff(true, func(string) error {
		select {
		case first <- time.Now():
			return throttled
		default:
			return nil
		}
	})
	go m.call(w.ctx, limit.Ticket{Queue: "q"})
	time.Sleep(away)
	cutOff(false, nil)
	time.Sleep(6 * time.Second) // for the request that is under way
	return other, <-first
}

func TestACoolDownThatIsToldLateIsNoLonger(t *testing.T) {
	inWorld(t, queue.Settings{}, func(w *world) {
		other, told := w.throttledWhileCutOff(12 * time.Second)
		state := other.State("q", "p")
		require.WithinDuration(w, told.Add(20*time.Second), state.Until, time.Second)
		require.WithinDuration(w, told, state.Since, time.Second)
		require.Len(w, w.reports(), 1)
	})
}

func TestACoolDownThatIsOverIsNotTold(t *testing.T) {
	inWorld(t, queue.Settings{}, func(w *world) {
		other, _ := w.throttledWhileCutOff(30 * time.Second)
		require.False(w, other.State("q", "p").Closed())
		require.Empty(w, w.reports())
	})
}

func TestANudgeIsHeardThoughTheFirstQuestionsFail(t *testing.T) {
	inWorld(t, queue.Settings{}, func(w *world) {
		m := w.join(w.ctx, "m", 0)
		w.takes = func() time.Duration { return 10 * time.Second }
		go m.call(w.ctx, limit.Ticket{Queue: "q"})
		time.Sleep(time.Second)
		w.mu.Lock()
		w.fails = 3
		w.mu.Unlock()
		w.set(queue.Change{Paused: new(true)})
		time.Sleep(time.Second)
		require.True(w, m.Settings("q").Paused)
		asks := w.asked()
		time.Sleep(time.Second)
		require.Equal(w, asks, w.asked(), "once is enough")
	})
}
