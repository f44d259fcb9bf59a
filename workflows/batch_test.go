package workflows_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	sdkconverter "go.temporal.io/sdk/converter"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/ledger"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/workflows"
)

// testBundle runs one batch on a clock that skips. Its lanes do nothing by
// themselves: the test speaks for them.
type testBundle struct {
	*testing.T

	env      *testsuite.TestWorkflowEnvironment
	in       workflows.BatchInput
	lanes    map[int]activities.WorkInput // by id, those whose activity has begun
	finished *activities.FinishInput
	tidied   bool
	saved    []activities.SaveCommitsInput
	memo     batch.Object
	left     []int // lanes that have left, as the memo has them
	begun    time.Time
	grants   []ledger.Grant
	nudged   []string // hosts, in order
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	b := &testBundle{T: t, env: suite.NewTestWorkflowEnvironment(), lanes: map[int]activities.WorkInput{}}
	b.env.RegisterWorkflowWithOptions(workflows.Batch, workflow.RegisterOptions{Name: workflows.NameBatch})
	var a *activities.Activities
	for name, f := range map[string]any{
		activities.NamePlan: a.Plan, activities.NameWork: a.Work, activities.NameSaveCommits: a.SaveCommits,
		activities.NameFinish: a.Finish, activities.NameTidy: a.Tidy, activities.NameNotify: a.Notify, activities.NameNudge: a.Nudge,
	} {
		b.env.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
	b.env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, args sdkconverter.EncodedValues) {
		if info.ActivityType.Name == activities.NameWork {
			var in activities.WorkInput
			require.NoError(t, args.Get(&in))
			b.lanes[in.Lane] = in
		}
	})
	b.begun = b.env.Now()
	expires := b.begun.Add(time.Hour).Unix()
	id := openai.NewID(openai.PrefixBatch)
	b.in = workflows.BatchInput{
		Run: workflows.Run{Project: "default", Batch: id}, OutputSeconds: 3600,
		Object: batch.Object{
			Batch: openai.Batch{
				ID: id, Object: openai.ObjectBatch, Endpoint: openai.ChatCompletions, InputFileID: openai.NewID(openai.PrefixFile),
				Status: openai.Validating, CreatedAt: b.begun.Unix(), ExpiresAt: &expires,
			},
			Headrace: batch.Extension{Options: batch.DefaultOptions()},
		},
	}
	b.env.OnUpsertMemo(mock.Anything).Run(func(args mock.Arguments) {
		memo := args.Get(0).(map[string]any)
		b.memo, b.left = memo[workflows.MemoBatch].(batch.Object), memo[workflows.MemoLeft].([]int)
	}).Return(nil).Maybe()
	b.env.OnActivity(activities.NameFinish, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in activities.FinishInput) error {
			b.finished = &in
			return nil
		}).Maybe()
	b.env.OnActivity(activities.NameTidy, mock.Anything, mock.Anything).Return(
		func(context.Context, workflows.Run) error {
			b.tidied = true
			return nil
		}).Maybe()
	b.env.OnActivity(activities.NameNudge, mock.Anything, mock.Anything).Return(
		func(ctx context.Context, in activities.NudgeInput) error {
			require.Equal(t, id, in.Subject)
			b.nudged = append(b.nudged, activity.GetInfo(ctx).TaskQueue)
			return nil
		}).Maybe()
	b.env.OnActivity(activities.NameSaveCommits, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in activities.SaveCommitsInput) error {
			b.saved = append(b.saved, in)
			return nil
		}).Maybe()
	return b
}

// plan makes Plan take so long and come to a result.
func (b *testBundle) plan(takes time.Duration, result activities.PlanResult) {
	b.env.OnActivity(activities.NamePlan, mock.Anything, mock.Anything).After(takes).Return(result, nil)
}

// lane makes the next lane's activity end after so long with err.
func (b *testBundle) lane(takes time.Duration, err error) {
	b.env.OnActivity(activities.NameWork, mock.Anything, mock.Anything).After(takes).Return(err).Once()
}

// at does something when so much time has passed since the start.
func (b *testBundle) at(after time.Duration, do func()) { b.env.RegisterDelayedCallback(do, after) }

// lease sends a lane's request; whether it is refused is checked.
func (b *testBundle) lease(r ledger.Request, refused bool) {
	b.Helper()
	n := len(b.grants)
	b.grants = append(b.grants, ledger.Grant{})
	b.env.UpdateWorkflow(activities.UpdateLease, "", &testsuite.TestUpdateCallback{
		OnAccept: func() { require.False(b, refused, "accepted") },
		OnReject: func(err error) {
			require.True(b, refused, "refused: %v", err)
			var e *temporal.ApplicationError
			require.ErrorAs(b, err, &e)
			require.Equal(b, activities.ErrorFenced, e.Type())
		},
		OnComplete: func(result any, err error) {
			require.NoError(b, err)
			b.grants[n] = result.(ledger.Grant)
		},
	}, r)
}

func (b *testBundle) run() {
	b.Helper()
	b.env.ExecuteWorkflow(workflows.NameBatch, b.in)
	require.True(b, b.env.IsWorkflowCompleted())
}

// requireEnd checks how the batch ended.
func (b *testBundle) requireEnd(status openai.Status) {
	b.Helper()
	b.run()
	require.NoError(b, b.env.GetWorkflowError())
	require.NotNil(b, b.finished)
	require.Equal(b, status, b.finished.Object.Status)
	require.True(b, b.tidied)
}

func (b *testBundle) stopQuery() ledger.Stop {
	b.Helper()
	var stop ledger.Stop
	value, err := b.env.QueryWorkflow(activities.QueryStop)
	require.NoError(b, err)
	require.NoError(b, value.Get(&stop))
	return stop
}

func commit(chunk, completed, failed int64) ledger.Commit {
	return ledger.Commit{Chunk: chunk, Holder: "0-1", OutputBytes: 10 * completed, ErrorBytes: 10 * failed, Totals: ledger.Totals{
		Completed: completed, Failed: failed, Usage: openai.Usage{InputTokens: completed, TotalTokens: completed},
	}}
}

var twoChunks = activities.PlanResult{Requests: 5, Chunks: 2, Model: "m"}

func TestABatchIsPlannedWorkedOnAndFinished(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.plan(time.Second, twoChunks)
	b.lane(10*time.Second, nil)
	b.at(500*time.Millisecond, func() {
		require.Equal(t, ledger.Go, b.stopQuery())
		b.lease(ledger.Request{Lane: 0, Attempt: 1, Want: 1}, true) // nothing to lease yet
	})
	b.at(2*time.Second, func() {
		require.Equal(t, openai.InProgress, b.memo.Status)
		require.Equal(t, int64(5), b.memo.RequestCounts.Total)
		require.Equal(t, "m", *b.memo.Model)
		require.Equal(t, b.begun.Unix()+1, *b.memo.InProgressAt)
		b.lease(ledger.Request{Lane: 0, Attempt: 1, Want: 2}, false)
	})
	b.at(3*time.Second, func() {
		b.lease(ledger.Request{Lane: 0, Attempt: 1, Want: 2, Commits: []ledger.Commit{commit(0, 2, 1)}}, false)
	})
	b.at(4*time.Second, func() {
		b.lease(ledger.Request{Lane: 0, Attempt: 1, Leaving: true, Commits: []ledger.Commit{commit(1, 2, 0)}}, false)
	})
	b.at(5*time.Second, func() {
		require.Equal(t, openai.RequestCounts{Total: 5, Completed: 4, Failed: 1}, b.memo.RequestCounts,
			"what a lane committed is published when it leaves, before its activity is gone")
		require.Equal(t, []int{0}, b.left, "so that nobody counts its last heartbeat as well")
	})
	b.requireEnd(openai.Completed)
	require.Len(t, b.lanes, 1)
	require.Equal(t, 5, b.lanes[0].Hands, "no more hands than requests")
	o := b.finished.Object
	require.Equal(t, openai.RequestCounts{Total: 5, Completed: 4, Failed: 1}, o.RequestCounts)
	require.Equal(t, int64(4), o.Usage.InputTokens)
	require.Equal(t, b.begun.Unix()+11, *o.FinalizingAt)
	require.NotNil(t, o.CompletedAt)
	require.Equal(t, []ledger.Commit{commit(0, 2, 1), commit(1, 2, 0)}, b.finished.LastCommits.Commits)
	require.Equal(t, b.finished.Files.CreatedAt+3600, b.finished.Files.ExpiresAt)
	require.True(t, openai.ValidID(openai.PrefixFile, b.finished.Files.OutputID))
	require.NotEqual(t, b.finished.Files.OutputID, b.finished.Files.ErrorID)
}

func TestABadInputFailsTheBatchAndNothingIsCalled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.plan(0, activities.PlanResult{Problems: 3})
	b.requireEnd(openai.Failed)
	require.Empty(t, b.lanes)
	require.Nil(t, b.finished.Files)
	require.NotNil(t, b.finished.Object.FailedAt)
	require.Nil(t, b.finished.Object.InProgressAt)
}

func TestAMissingInputFailsTheBatchAsOpenAIDoes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.in.InputMissing = true
	b.requireEnd(openai.Failed)
	e := b.finished.Object.Errors.Data[0]
	require.Equal(t, openai.CodeInvalidRequest, e.Code)
	require.Equal(t, "file_id", *e.Param)
	require.Contains(t, e.Message, b.in.Object.InputFileID)
}

// In these tests a cancelled activity ends at once, whatever it was told: how
// lanes drain and abort is for the whole-system tests to see.

func TestACancelledBatchGivesTheRestItsErrorLines(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.plan(0, twoChunks)
	b.lane(10*time.Second, nil)
	b.at(time.Second, func() { b.lease(ledger.Request{Lane: 0, Attempt: 1, Want: 1}, false) })
	b.at(2*time.Second, b.env.CancelWorkflow)
	b.lane(10*time.Second, nil) // the sweep
	b.at(3*time.Second, func() {
		require.Equal(t, openai.Cancelling, b.memo.Status)
		require.Equal(t, b.begun.Unix()+2, *b.memo.CancellingAt)
		b.lease(ledger.Request{Lane: 0, Attempt: 1, Commits: []ledger.Commit{commit(0, 1, 0)}}, true)
		b.lease(ledger.Request{Lane: 1, Attempt: 1, Want: 9}, false)
		b.lease(ledger.Request{Lane: 1, Attempt: 1, Want: 9}, false)
	})
	b.at(4*time.Second, func() {
		require.Equal(t, []ledger.Lease{{Chunk: 0, Touched: true}}, b.grants[2].Chunks, "a lane may have left results of it")
		b.lease(ledger.Request{
			Lane: 1, Attempt: 1, Leaving: true, Commits: []ledger.Commit{commit(0, 0, 0), commit(1, 0, 0)},
		}, false)
	})
	b.requireEnd(openai.Cancelled)
	require.Nil(t, b.lanes[0].Unmade)
	require.Equal(t, openai.CodeBatchCancelled, b.lanes[1].Unmade.Code)
	require.Equal(t, openai.RequestCounts{Total: 5}, b.finished.Object.RequestCounts, "requests never made are in total alone")
	require.NotNil(t, b.finished.Object.CancelledAt)
	require.Nil(t, b.finished.Object.FinalizingAt)
}

func TestABatchThatIsCancelledWhileItIsValidatedRunsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.plan(time.Minute, twoChunks)
	b.lane(time.Second, nil)
	b.at(time.Second, b.env.CancelWorkflow)
	b.at(time.Minute+500*time.Millisecond, func() {
		require.Equal(t, openai.Cancelling, b.memo.Status)
		b.lease(ledger.Request{Lane: 0, Attempt: 1, Want: 1}, false)
		b.lease(ledger.Request{Lane: 0, Attempt: 1, Want: 1}, false)
		b.lease(ledger.Request{Lane: 0, Attempt: 1, Commits: []ledger.Commit{commit(0, 0, 0), commit(1, 0, 0)}}, false)
	})
	b.requireEnd(openai.Cancelled)
	require.NotNil(t, b.lanes[0].Unmade, "there is nothing but the sweep")
}

func TestABatchThatDoesNotEndInTimeExpires(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.plan(0, twoChunks)
	b.lane(time.Hour+time.Minute, nil)
	b.lane(time.Minute, nil)
	b.at(time.Hour-time.Second, func() { require.Equal(t, ledger.Go, b.stopQuery()) })
	b.at(time.Hour+time.Second, func() {
		b.lease(ledger.Request{Lane: 1, Attempt: 1, Want: 1}, false)
		b.lease(ledger.Request{Lane: 1, Attempt: 1, Want: 1}, false)
		b.lease(ledger.Request{Lane: 1, Attempt: 1, Commits: []ledger.Commit{commit(0, 3, 0), commit(1, 0, 0)}}, false)
	})
	b.requireEnd(openai.Expired)
	require.Equal(t, openai.CodeBatchExpired, b.lanes[1].Unmade.Code)
	require.NotNil(t, b.finished.Object.ExpiredAt)
	require.Equal(t, int64(3), b.finished.Object.RequestCounts.Completed, "results that were found in the store")
}

func TestALaneThatEndsWithoutLeavingGivesBackWhatItHeld(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.plan(0, twoChunks)
	b.lane(10*time.Second, nil)
	b.lane(10*time.Second, nil)
	b.at(time.Second, func() { b.lease(ledger.Request{Lane: 0, Attempt: 1, Want: 1}, false) })
	b.at(11*time.Second, func() {
		b.lease(ledger.Request{Lane: 0, Attempt: 1, Commits: []ledger.Commit{commit(0, 3, 0)}}, true)
		b.lease(ledger.Request{Lane: 1, Attempt: 1, Want: 1}, false)
		b.lease(ledger.Request{Lane: 1, Attempt: 1, Want: 1}, false)
		b.lease(ledger.Request{Lane: 1, Attempt: 1, Commits: []ledger.Commit{commit(0, 3, 0), commit(1, 2, 0)}}, false)
	})
	b.requireEnd(openai.Completed)
	require.Equal(t, []ledger.Lease{{Chunk: 0, Touched: true}}, b.grants[2].Chunks)
}

func TestABrokenInputEndsTheBatchWithTheReason(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.plan(0, twoChunks)
	b.lane(time.Second, temporal.NewNonRetryableApplicationError("decode chunk: no", "Broken", nil))
	b.requireEnd(openai.Failed)
	require.Contains(t, b.finished.Object.Errors.Data[0].Message, "decode chunk: no")
	require.NotNil(t, b.finished.Files, "what there is can be read")
}

func TestALongHistoryGoesOnInANewRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.plan(0, activities.PlanResult{Requests: 100, Chunks: 10})
	b.lane(10*time.Second, nil)
	b.lane(10*time.Second, nil)
	b.at(time.Second, func() { b.lease(ledger.Request{Lane: 0, Attempt: 1, Want: 1}, false) })
	b.at(2*time.Second, func() {
		b.env.SetContinueAsNewSuggested(true)
		b.lease(ledger.Request{Lane: 0, Attempt: 1, Want: 1, Commits: []ledger.Commit{commit(0, 10, 0)}}, false)
	})
	b.at(3*time.Second, func() {
		require.Equal(t, ledger.Drain, b.stopQuery())
		b.lease(ledger.Request{Lane: 0, Attempt: 1, Leaving: true}, false)
	})
	b.run()
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, b.env.GetWorkflowError(), &next)
	require.Equal(t, workflows.NameBatch, next.WorkflowType.Name)
	require.Equal(t, []ledger.Commit{commit(0, 10, 0)}, b.saved[0].Commits)
	require.Nil(t, b.finished)

	var in workflows.BatchInput
	require.NoError(t, converter(t, next, &in))
	c := setup(t)
	c.in = in
	c.lane(10*time.Second, nil)
	for i := int64(1); i < 10; i++ {
		c.at(time.Duration(i)*500*time.Millisecond, func() {
			c.lease(ledger.Request{Lane: 1, Attempt: 1, Want: 1}, false)
		})
	}
	c.at(9*time.Second, func() {
		r := ledger.Request{Lane: 1, Attempt: 1, Leaving: true}
		for i := int64(1); i < 10; i++ {
			r.Commits = append(r.Commits, commit(i, 10, 0))
		}
		c.lease(r, false)
	})
	c.requireEnd(openai.Completed)
	require.Equal(t, int64(100), c.finished.Object.RequestCounts.Completed)
	require.Equal(t, 1, c.finished.LastCommits.Page)
	require.True(t, c.grants[0].Chunks[0].Touched, "chunk 1 was held by a lane of the first run")
}
