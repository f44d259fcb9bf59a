package limit_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/queue"
)

// watching returns a gate and what it tells of providers that close and open.
func watching() (*limit.Gate, *[]limit.Change) {
	var changes []limit.Change
	g := limit.New(limit.Options{Changed: func(c limit.Change) { changes = append(changes, c) }})
	return g, &changes
}

func TestAProviderThatClosesOrOpensIsToldOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, changes := watching()
		for range 3 {
			require.NoError(t, enter(t.Context(), g))
		}
		for range 3 { // calls that were under way say it again
			leave(g, &llm.Error{Kind: llm.Throttled, RetryAfter: time.Minute, Message: "slow down"})
		}
		require.Len(t, *changes, 1)
		first := (*changes)[0]
		require.Equal(t, "p", first.Provider)
		require.Equal(t, queue.Default, first.Queue)
		require.Equal(t, llm.Throttled, first.State.Kind)
		require.False(t, first.Was.Closed())

		fail(t, g, &llm.Error{Kind: llm.Refused}) // when it may be called again
		require.NoError(t, enter(t.Context(), g))
		leave(g, nil)
		var kinds []string
		for _, c := range *changes {
			kind := "open"
			if c.State.Closed() {
				kind = c.State.Kind.String()
			}
			kinds = append(kinds, kind)
		}
		require.Equal(t, []string{"throttled", "open", "refused", "open"}, kinds)
		require.Equal(t, llm.Refused, (*changes)[3].Was.Kind)
	})
}

// only is the report of the only queue.
func only(t *testing.T, g *limit.Gate) limit.QueueReport {
	t.Helper()
	r := g.Report()
	require.Len(t, r.Queues, 1)
	return r.Queues[0]
}

func TestAReportSaysWhatCallsWaitFor(t *testing.T) {
	inWorld(t, queue.Settings{Concurrency: 2}, func(w *world) {
		ctx, t := w.ctx, w.T
		w.takes = func() time.Duration { return 10 * time.Second }
		m := w.join(ctx, "m", 0)
		wait := m.crowd(ctx, 5, nil)
		time.Sleep(3 * time.Second)
		r := only(t, m.Gate)
		require.Equal(t, "q", r.Name)
		require.Equal(t, int64(2), r.InFlight.All())
		require.Equal(t, map[batch.Reason]int64{batch.ConcurrencyLimit: 3}, r.Waiting)
		require.Equal(t, int64(2), r.Permits)
		require.Equal(t, int64(2), r.Settings.Concurrency)
		require.True(t, r.Leased)
		require.Less(t, r.Age, r.Term)
		require.Positive(t, r.Oldest)
		wait()
	})
}

func TestAReportTellsAFullProcessFromAClosedProvider(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := limit.New(limit.Options{Bound: 1})
		bounded := limit.Ticket{Provider: "p", Bounded: true}
		pass, err := g.Enter(t.Context(), bounded)
		require.NoError(t, err)
		entered := make(chan limit.Pass)
		go func() {
			p, _ := g.Enter(t.Context(), bounded)
			entered <- p
		}()
		synctest.Wait()
		r := g.Report()
		require.Equal(t, 1, r.Bound)
		require.Zero(t, r.Room)
		require.Equal(t, map[batch.Reason]int64{limit.WaitProcess: 1}, r.Queues[0].Waiting)

		g.Leave(&pass, &llm.Error{Kind: llm.Refused, Message: "no"}, openai.Usage{})
		g.Release()
		synctest.Wait()
		r = g.Report()
		require.Equal(t, map[batch.Reason]int64{batch.Refused: 1}, r.Queues[0].Waiting)
		require.Equal(t, llm.Refused, r.Queues[0].Providers[0].State.Kind)
		pass = <-entered // the probe
		g.Leave(&pass, nil, openai.Usage{})
		g.Release()
		require.False(t, only(t, g).Providers[0].State.Closed())
		require.Equal(t, int64(queue.NoLimit), only(t, g).Permits)
	})
}
