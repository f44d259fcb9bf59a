package live_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/live"
	"github.com/headrace/headrace/internal/task"
)

func TestAWatcherHearsTheLatestAndOnlyOfItsTask(t *testing.T) {
	t.Parallel()
	h := live.NewHub()
	w := h.Watch("task_a")
	require.True(t, h.Watched("task_a"))
	h.Tell(&task.Object{ID: "task_b"})
	require.Nil(t, w.Latest())
	h.Tell(&task.Object{ID: "task_a", Status: task.InProgress})
	h.Tell(&task.Object{ID: "task_a", Status: task.Completed})
	<-w.News
	require.Equal(t, task.Completed, w.Latest().Status)
	w.Close()
	w.Close()
	require.False(t, h.Watched("task_a"))
	h.Tell(&task.Object{ID: "task_a"})
	require.Empty(t, w.News)
}

func TestWorkYieldsToACrowdAndNotForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p live.Pressure
		yield := func() time.Duration {
			begun := time.Now()
			p.Yield(t.Context(), begun.Add(time.Second))
			return time.Since(begun)
		}
		one := p.Enter()
		require.Zero(t, yield(), "a few are no crowd")
		var crowd []func()
		for range 30 {
			crowd = append(crowd, p.Enter())
		}
		for range 64 {
			require.Zero(t, yield(), "the first ones go on")
		}
		require.Equal(t, time.Second, yield())
		go func() {
			time.Sleep(100 * time.Millisecond)
			for _, leave := range crowd {
				leave()
			}
		}()
		require.Equal(t, 125*time.Millisecond, yield())
		require.Zero(t, yield())
		one()
	})
}

func TestACrowdThatComesBackAtOnceHasNotGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p live.Pressure
		go func() {
			for range 50 { // rounds
				var crowd []func()
				for range 30 {
					crowd = append(crowd, p.Enter())
				}
				time.Sleep(10 * time.Millisecond)
				for _, leave := range crowd {
					leave()
				}
				time.Sleep(5 * time.Millisecond)
			}
		}()
		synctest.Wait()
		begun := time.Now()
		for range 65 {
			p.Yield(t.Context(), begun.Add(time.Hour))
		}
		require.Equal(t, 50*15*time.Millisecond-5*time.Millisecond+25*time.Millisecond, time.Since(begun))
	})
}
