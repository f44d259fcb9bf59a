package groupcommit_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/groupcommit"
)

// log is a commit that takes a while and remembers its groups.
type log struct {
	takes  time.Duration
	err    error
	groups [][]int
}

func (l *log) commit(group []int) error {
	time.Sleep(l.takes)
	l.groups = append(l.groups, group)
	return l.err
}

func committer(l *log) *groupcommit.Committer[int] {
	return groupcommit.New(groupcommit.Options[int]{Commit: l.commit, MaxItems: 100, MaxSize: 1000, MaxLinger: 10 * time.Millisecond})
}

func TestAnIdleCommitterAddsNoDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		defer time.Sleep(time.Second) // until the committer rests
		l := &log{takes: 10 * time.Millisecond}
		c := committer(l)
		for i := range 5 {
			begun := time.Now()
			require.NoError(t, c.Do(t.Context(), i, 1))
			require.Equal(t, l.takes, time.Since(begun))
			time.Sleep(time.Second)
		}
		require.Len(t, l.groups, 5)
	})
}

func TestACallerWhoComesAgainAtOnceWaitsForNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		defer time.Sleep(time.Second) // until the committer rests
		l := &log{takes: 10 * time.Millisecond}
		c := committer(l)
		begun := time.Now()
		for i := range 5 {
			require.NoError(t, c.Do(t.Context(), i, 1))
		}
		require.Equal(t, 5*l.takes, time.Since(begun))
	})
}

func TestThoseWhoComeDuringACommitGoTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		defer time.Sleep(time.Second) // until the committer rests
		l := &log{takes: 10 * time.Millisecond}
		c := committer(l)
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 100 * time.Microsecond)
				if err := c.Do(t.Context(), i, 1); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		require.Len(t, l.groups, 2)
		require.Len(t, l.groups[1], 49)
	})
}

func TestClientsInALoopFillTheirGroups(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		defer time.Sleep(time.Second) // until the committer rests
		l := &log{takes: 10 * time.Millisecond}
		c := committer(l)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				for i := range 20 {
					if err := c.Do(t.Context(), i, 1); err != nil {
						t.Error(err)
					}
					time.Sleep(time.Millisecond) // until it asks again
				}
			})
		}
		all.Wait()
		require.LessOrEqual(t, len(l.groups), 22, "not two for each round")
	})
}

func TestAGroupIsBoundedByItemsAndBySize(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		defer time.Sleep(time.Second) // until the committer rests
		l := &log{takes: 10 * time.Millisecond}
		c := committer(l)
		var all sync.WaitGroup
		for i := range 250 {
			all.Go(func() { _ = c.Do(t.Context(), i, 1) })
		}
		for i := range 4 {
			all.Go(func() { _ = c.Do(t.Context(), i, 600) })
		}
		all.Go(func() { _ = c.Do(t.Context(), 0, 5000) })
		all.Wait()
		total := 0
		for _, group := range l.groups {
			require.LessOrEqual(t, len(group), 100)
			total += len(group)
		}
		require.Equal(t, 255, total)
		require.GreaterOrEqual(t, len(l.groups), 6, "no two of the large ones in one group")
	})
}

func TestAGroupsErrorIsEveryonesAndTheNextGroupHasItsOwn(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	l := &log{err: down}
	c := committer(l)
	require.ErrorIs(t, c.Do(t.Context(), 1, 1), down)
	l.err = nil
	require.NoError(t, c.Do(t.Context(), 1, 1))
}

func TestNobodyWaitsBeyondHisContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &log{takes: time.Hour}
		c := committer(l)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, c.Do(ctx, 1, 1), context.DeadlineExceeded)
		time.Sleep(4 * time.Hour)
		synctest.Wait()
		require.Len(t, l.groups, 1, "it was committed all the same")
	})
}

func TestWhateverTheOrderEachItemIsCommittedOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		waits := rapid.SliceOfN(rapid.IntRange(0, 30), 1, 60).Draw(rt, "waits")
		takes := rapid.IntRange(0, 20).Draw(rt, "takes")
		synctest.Test(t, func(t *testing.T) {
			defer time.Sleep(time.Second) // until the committer rests
			l := &log{takes: time.Duration(takes) * time.Millisecond}
			c := committer(l)
			var all sync.WaitGroup
			for i, wait := range waits {
				all.Go(func() {
					time.Sleep(time.Duration(wait) * time.Millisecond)
					_ = c.Do(t.Context(), i, 1)
				})
			}
			all.Wait()
			seen := map[int]bool{}
			for _, group := range l.groups {
				for _, i := range group {
					require.False(rt, seen[i])
					seen[i] = true
				}
			}
			require.Len(rt, seen, len(waits))
		})
	})
}
