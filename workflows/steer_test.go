package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/ledger"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/workflows"
)

// command gives the batch a command.
func (b *testBundle) command(c batch.Command) { b.env.SignalWorkflow(workflows.SignalCommand, c) }

// ask sends the request of a lane that runs on a host and may have so many calls in
// flight.
func (b *testBundle) ask(lane, most, want int) {
	b.Helper()
	b.lease(ledger.Request{Lane: lane, Attempt: 1, Want: want, Host: "host", Most: most}, false)
}

// leave lets a lane leave with what it has finished.
func (b *testBundle) leave(lane int, commits ...ledger.Commit) {
	b.Helper()
	b.lease(ledger.Request{Lane: lane, Attempt: 1, Leaving: true, Commits: commits}, false)
}

// last is the ledger's last answer.
func (b *testBundle) last() ledger.Grant { return b.grants[len(b.grants)-1] }

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

func TestAPausedBatchTakesTheHandsOfItsLanesAndGivesThemBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.in.Object.Headrace.MaxConcurrency = 100
	b.plan(0, activities.PlanResult{Requests: 1000, Chunks: 4})
	for range 3 {
		b.lane(seconds(30), nil)
	}
	b.at(seconds(1), func() { b.ask(0, 0, 1) })
	b.at(seconds(1.1), func() { b.ask(1, 0, 1) })
	b.at(seconds(2), func() { b.command(batch.Pause()) })
	b.at(seconds(2.1), func() {
		require.True(t, b.memo.Headrace.Paused)
		require.Equal(t, batch.Paused, b.memo.Headrace.WaitingOn.Reason)
		require.Equal(t, openai.InProgress, b.memo.Status)
		require.Equal(t, []string{"host"}, b.nudged, "once, for both lanes")
		b.ask(0, 50, 3)
	})
	b.at(seconds(2.2), func() {
		require.Zero(t, b.last().Settings.Hands)
		require.Empty(t, b.last().Chunks)
		b.leave(1)
	})
	b.at(seconds(10), func() {
		require.Len(t, b.lanes, 2, "nothing is opened while the batch is paused")
		b.command(batch.Resume())
	})
	b.at(seconds(10.1), func() {
		require.False(t, b.memo.Headrace.Paused)
		require.Nil(t, b.memo.Headrace.WaitingOn)
		require.Len(t, b.lanes, 3, "at once, though the first lane still drains")
		require.Equal(t, 36, b.lanes[2].Hands)
		b.ask(0, 7, 9)
	})
	b.at(seconds(10.2), func() {
		require.Equal(t, 64, b.last().Settings.Hands)
		b.ask(2, 0, 9)
	})
	b.at(seconds(10.3), func() { b.ask(2, 36, 9) })
	b.at(seconds(10.4), func() { b.ask(0, 64, 9) })
	b.at(seconds(10.5), func() { b.ask(2, 36, 9) })
	b.at(seconds(11), func() {
		var held [3][]ledger.Commit
		lanes := []int{0, 1, 0, 1, 0, 2, 2, 0, 2}
		for i, lane := range lanes {
			if lane == 1 {
				continue // it gave its chunk back
			}
			for _, c := range b.grants[i].Chunks {
				held[lane] = append(held[lane], commit(c.Chunk, 250, 0))
			}
		}
		b.leave(0, held[0]...)
		b.leave(2, held[2]...)
	})
	b.requireEnd(openai.Completed)
	require.Equal(t, int64(1000), b.finished.Object.RequestCounts.Completed)
}

func TestABatchThatIsPausedWhileItIsValidatedOpensNoLane(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.plan(seconds(5), twoChunks)
	b.lane(seconds(1), nil)
	b.at(seconds(1), func() { b.command(batch.Pause()) })
	b.at(seconds(2), func() {
		require.Equal(t, openai.Validating, b.memo.Status)
		require.True(t, b.memo.Headrace.Paused)
	})
	b.at(seconds(60), func() {
		require.Equal(t, openai.InProgress, b.memo.Status)
		require.Empty(t, b.lanes)
		b.command(batch.Resume())
	})
	b.at(seconds(60.1), func() { b.ask(0, 0, 1) })
	b.at(seconds(60.2), func() { b.ask(0, 5, 1) })
	b.at(seconds(60.3), func() { b.leave(0, commit(0, 3, 0), commit(1, 2, 0)) })
	b.requireEnd(openai.Completed)
	require.Empty(t, b.nudged)
}

// paused is a batch that is paused and has no lane any more.
func paused(t *testing.T) *testBundle {
	t.Helper()
	b := setup(t)
	b.plan(0, twoChunks)
	b.lane(seconds(3), nil)
	b.at(seconds(1), func() { b.ask(0, 0, 1) })
	b.at(seconds(2), func() { b.command(batch.Pause()) })
	b.at(seconds(2.5), func() {
		b.lease(ledger.Request{Lane: 0, Attempt: 1, Leaving: true, Partials: []ledger.Partial{{
			Chunk: 0, Totals: ledger.Totals{Completed: 2},
		}}}, false)
	})
	b.at(seconds(2.6), func() {
		require.Equal(t, int64(2), b.memo.RequestCounts.Completed, "what is kept of a chunk that is not finished counts")
	})
	return b
}

// sweep lets lane 1 sweep from a time on.
func (b *testBundle) sweep(from float64) {
	b.lane(seconds(30), nil) // the deadline is in whole seconds, so the sweep may begin before from
	b.at(seconds(from), func() { b.ask(1, 0, 1) })
	b.at(seconds(from+0.1), func() { b.ask(1, 5, 1) })
	b.at(seconds(from+0.2), func() { b.leave(1, commit(0, 2, 0), commit(1, 0, 0)) })
}

func TestAPausedBatchCanBeCancelled(t *testing.T) {
	t.Parallel()
	b := paused(t)
	b.at(seconds(9), b.env.CancelWorkflow)
	b.sweep(9.1)
	b.at(seconds(9.15), func() {
		require.Equal(t, openai.Cancelling, b.memo.Status)
		require.False(t, b.memo.Headrace.Paused)
		b.command(batch.Pause()) // too late
	})
	b.requireEnd(openai.Cancelled)
	require.NotNil(t, b.lanes[1].Unmade)
	require.False(t, b.finished.Object.Headrace.Paused)
	require.Nil(t, b.finished.Object.Headrace.WaitingOn)
}

func TestAPausedBatchExpires(t *testing.T) {
	t.Parallel()
	b := paused(t)
	b.sweep(3600.1)
	b.requireEnd(openai.Expired)
	require.NotNil(t, b.lanes[1].Unmade)
	require.False(t, b.finished.Object.Headrace.Paused)
}

func TestTheDeadlineMovesBothWaysAndIntoThePast(t *testing.T) {
	t.Parallel()
	b := paused(t)
	window := func(w string, d float64) batch.Command {
		return batch.Command{CompletionWindow: &w, ExpiresAt: new(b.begun.Add(seconds(d)).Unix())}
	}
	b.at(seconds(10), func() { b.command(window("7d", 7*24*3600)) })
	b.at(seconds(2*3600), func() {
		require.Equal(t, openai.InProgress, b.memo.Status)
		require.Equal(t, "7d", b.memo.CompletionWindow)
		require.Nil(t, b.finished)
		b.command(window("1h", 3600))
	})
	b.sweep(2*3600 + 0.1)
	b.requireEnd(openai.Expired)
	require.Equal(t, "1h", b.finished.Object.CompletionWindow)
	require.Less(t, *b.finished.Object.ExpiredAt-b.begun.Unix(), int64(2*3600+60))
}

func TestTheLastCommandWinsAndAllAreObeyedAtOnce(t *testing.T) {
	t.Parallel()
	b := paused(t)
	b.lane(seconds(1), nil)
	b.at(seconds(5), func() {
		for i := range 50 {
			b.command(batch.Command{MaxConcurrency: new(i + 1), Paused: new(i%2 == 0), Queue: new("q"), Priority: new(i)})
		}
	})
	b.at(seconds(5.1), func() {
		require.Equal(t, 50, b.memo.Headrace.MaxConcurrency)
		require.Equal(t, "q", b.lanes[1].Options.Queue)
		b.ask(1, 0, 1)
	})
	b.at(seconds(5.2), func() {
		require.Equal(t, &ledger.Settings{Hands: 5, Queue: "q", Priority: 49}, b.last().Settings)
		b.ask(1, 5, 1)
	})
	b.at(seconds(5.3), func() { b.leave(1, commit(0, 3, 0), commit(1, 2, 0)) })
	b.requireEnd(openai.Completed)
	require.Len(t, b.lanes, 2)
}

func TestMoreConcurrencyOpensLanesAndLessIsTakenFromTheLast(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.in.Object.Headrace.MaxConcurrency = 10
	b.plan(0, activities.PlanResult{Requests: 1000, Chunks: 20})
	for range 3 {
		b.lane(seconds(30), nil)
	}
	b.at(seconds(1), func() { b.ask(0, 0, 1) })
	b.at(seconds(2), func() { b.command(batch.Command{MaxConcurrency: new(150)}) })
	b.at(seconds(2.1), func() {
		require.Len(t, b.lanes, 3)
		require.Equal(t, 43, b.lanes[1].Hands)
		require.Equal(t, 43, b.lanes[2].Hands)
		b.ask(0, 10, 0)
	})
	b.at(seconds(2.2), func() {
		require.Equal(t, &ledger.Settings{Hands: 64, Priority: batch.PriorityBatch}, b.last().Settings)
		b.ask(1, 0, 1)
		b.ask(2, 0, 1)
	})
	b.at(seconds(3), func() { b.command(batch.Command{MaxConcurrency: new(64)}) })
	b.at(seconds(3.1), func() { b.ask(1, 43, 0) })
	b.at(seconds(3.2), func() {
		require.Zero(t, b.last().Settings.Hands)
		require.True(t, b.last().Settings.Confirm, "the first lane waits for them")
		b.ask(0, 64, 0)
	})
	b.at(seconds(3.3), func() { require.Zero(t, b.last().Settings.Hands, "86 calls may still be in flight elsewhere") })
	b.at(seconds(3.4), func() { b.ask(2, 0, 0) })
	b.at(seconds(3.5), func() {
		require.Zero(t, b.last().Settings.Hands)
		b.nudged = nil
		b.leave(1)
	})
	b.at(seconds(3.6), func() {
		require.Equal(t, []string{"host"}, b.nudged, "the first lane may have its hands")
		b.ask(0, 20, 0)
	})
	b.at(seconds(3.7), func() {
		require.Equal(t, 64, b.last().Settings.Hands)
		b.env.CancelWorkflow()
	})
	b.at(seconds(3.8), func() { b.env.SetContinueAsNewSuggested(true) }) // ends the test
	b.lane(seconds(1), nil)
	b.at(seconds(3.9), func() { b.ask(3, 0, 1) })
	b.run()
	require.Equal(t, openai.CodeBatchCancelled, b.lanes[3].Unmade.Code)
}

func TestAPausedBatchGoesOnPausedInANewRunAndLosesNoCommand(t *testing.T) {
	t.Parallel()
	b := paused(t)
	b.at(seconds(5), func() {
		b.env.SetContinueAsNewSuggested(true)
		b.command(batch.Command{MaxConcurrency: new(3)})
		b.command(batch.Command{MaxConcurrency: new(4)})
	})
	b.run()
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, b.env.GetWorkflowError(), &next)
	c := setup(t)
	require.NoError(t, converter(t, next, &c.in))
	require.True(t, c.in.Object.Headrace.Paused)
	require.Equal(t, 4, c.in.Object.Headrace.MaxConcurrency)
	require.Len(t, c.in.Books.Ledger.Partials, 1)
	c.lane(seconds(1), nil)
	c.at(seconds(5), func() {
		require.Empty(t, c.lanes)
		c.command(batch.Resume())
	})
	c.at(seconds(5.1), func() { c.ask(1, 0, 1) })
	c.at(seconds(5.2), func() { c.ask(1, 4, 1) })
	c.at(seconds(5.3), func() { c.leave(1, commit(0, 3, 0), commit(1, 2, 0)) })
	c.requireEnd(openai.Completed)
	require.Equal(t, 4, c.lanes[1].Hands)
}

func TestARetryHasItsInputMadeByPlan(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.in.Retry = &workflows.Retry{Run: workflows.Run{Project: "default", Batch: "batch_0"}, InputFileID: "file-0"}
	b.plan(0, activities.PlanResult{Problems: 1})
	b.requireEnd(openai.Failed)
	require.Equal(t, b.in.Retry, b.finished.Retry)
}
