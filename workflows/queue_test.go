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
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/queue"
	"github.com/headrace/headrace/workflows"
)

// queueBundle runs one queue on a clock that skips. The test speaks for its
// workers.
type queueBundle struct {
	*testing.T

	env    *testsuite.TestWorkflowEnvironment
	in     workflows.QueueInput
	memo   *queue.Settings
	nudged []string // task queues
	asked  int
}

func setupQueue(t *testing.T) *queueBundle {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	b := &queueBundle{T: t, env: suite.NewTestWorkflowEnvironment(), in: workflows.QueueInput{Name: "q"}}
	b.env.RegisterWorkflowWithOptions(workflows.Queue, workflow.RegisterOptions{Name: workflows.NameQueue})
	var a *activities.Activities
	b.env.RegisterActivityWithOptions(a.Nudge, activity.RegisterOptions{Name: activities.NameNudge})
	b.env.OnActivity(activities.NameNudge, mock.Anything, mock.Anything).Return(
		func(ctx context.Context, in activities.NudgeInput) error {
			require.Equal(t, workflows.QueueID("q"), in.Subject)
			b.nudged = append(b.nudged, activity.GetInfo(ctx).TaskQueue)
			return nil
		}).Maybe()
	b.env.OnUpsertMemo(mock.Anything).Run(func(args mock.Arguments) {
		s := args.Get(0).(map[string]any)[workflows.MemoSettings].(queue.Settings)
		b.memo = &s
	}).Return(nil).Maybe()
	return b
}

func (b *queueBundle) at(after time.Duration, do func()) { b.env.RegisterDelayedCallback(do, after) }

// ask sends a worker's request and returns where the answer will be.
func (b *queueBundle) ask(r queue.Request) *queue.Grant {
	b.Helper()
	b.asked++
	grant := &queue.Grant{}
	b.env.UpdateWorkflow(activities.UpdateGrant, "", &testsuite.TestUpdateCallback{
		OnAccept: func() {},
		OnReject: func(err error) { b.Errorf("refused: %v", err) },
		OnComplete: func(result any, err error) {
			require.NoError(b, err)
			*grant = result.(queue.Grant)
		},
	}, r)
	return grant
}

func (b *queueBundle) set(c queue.Change) { b.env.SignalWorkflow(workflows.SignalSet, c) }

func (b *queueBundle) run() { b.env.ExecuteWorkflow(workflows.NameQueue, b.in) }

func waiting(worker string, n int64) queue.Request {
	return queue.Request{Worker: worker, Waiting: queue.Counts{Batch: n}}
}

func TestAQueueLeasesNudgesAndSeesWorkersVanish(t *testing.T) {
	t.Parallel()
	b := setupQueue(t)
	var first, second, third *queue.Grant
	b.at(0, func() { b.set(queue.Change{Concurrency: new(int64(10))}) })
	b.at(time.Second, func() { first = b.ask(waiting("a", 50)) })
	b.at(2*time.Second, func() { second = b.ask(waiting("b", 50)) })
	b.at(3*time.Second, func() {
		require.Equal(t, []string{"a"}, b.nudged, "it is to give some up")
		require.Equal(t, int64(10), b.memo.Concurrency)
	})
	b.at(20*time.Second, func() { // nobody was heard of again
		value, err := b.env.QueryWorkflow(workflows.QueryStatus)
		require.NoError(t, err)
		var s queue.Status
		require.NoError(t, value.Get(&s))
		require.Empty(t, s.Workers)
		third = b.ask(waiting("c", 50))
	})
	b.at(21*time.Second, func() { b.env.CancelWorkflow() })
	b.run()
	require.EqualValues(t, 10, first.Permits)
	require.Zero(t, second.Permits)
	require.EqualValues(t, 10, third.Permits)
}

func TestAQueueThatNobodyNeedsEnds(t *testing.T) {
	t.Parallel()
	b := setupQueue(t)
	var grant *queue.Grant
	b.at(time.Second, func() { grant = b.ask(waiting("a", 1)) })
	b.at(2*time.Second, func() {
		require.EqualValues(t, queue.NoLimit, grant.Permits)
		b.env.SignalWorkflow(activities.SignalLeave, queue.Request{Worker: "a", Lease: grant.Lease, Grant: grant.Number, Leaving: true})
	})
	b.run()
	require.NoError(t, b.env.GetWorkflowError())
}

func TestAQueueWithSettingsStays(t *testing.T) {
	t.Parallel()
	b := setupQueue(t)
	b.at(0, func() { b.set(queue.Change{Paused: new(true)}) })
	b.at(240*time.Hour, func() { b.env.CancelWorkflow() })
	begun := b.env.Now()
	b.run()
	require.GreaterOrEqual(t, b.env.Now().Sub(begun), 240*time.Hour)
}

func TestALongLivedQueueTakesItsBooksAlong(t *testing.T) {
	t.Parallel()
	b := setupQueue(t)
	b.at(0, func() { b.set(queue.Change{Concurrency: new(int64(10)), RPM: new(int64(600))}) })
	grant := &queue.Grant{}
	var again func()
	again = func() {
		r := waiting("a", 9)
		r.Lease, r.Grant = grant.Lease, grant.Number
		grant = b.ask(r)
		if b.asked < 1500 {
			b.at(100*time.Millisecond, again)
		}
	}
	b.at(time.Second, again)
	b.run()
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, b.env.GetWorkflowError(), &next)
	var in workflows.QueueInput
	require.NoError(t, converter(t, next, &in))
	require.Equal(t, int64(10), in.Books.Settings.Concurrency)
	require.Len(t, in.Books.Leases, 1)
	require.Equal(t, "a", in.Books.Leases[0].Worker)

	after := setupQueue(t)
	after.in = in
	var more *queue.Grant
	after.at(0, func() {
		r := waiting("a", 9)
		r.Lease, r.Grant = in.Books.Leases[0].Number, in.Books.Leases[0].Grant
		more = after.ask(r)
	})
	after.at(time.Second, func() { after.env.CancelWorkflow() })
	after.run()
	require.Equal(t, in.Books.Leases[0].Number, more.Lease)
	require.NotNil(t, after.memo, "the settings are to be seen in the new run too")
}

// TestTheWireOfQueuesStaysAsItIs pins what workers and the workflow of a queue say
// to each other, see TestTheWireStaysAsItIs.
func TestTheWireOfQueuesStaysAsItIs(t *testing.T) {
	t.Parallel()
	counts := queue.Counts{Interactive: 1, Batch: 2}
	settings := queue.Settings{
		Concurrency: 1, RPM: 2, TPM: 3, Paused: true, Weights: map[string]int64{"p": 4},
		Fallback: batch.Fallback{Targets: []batch.Target{{Model: "m", Provider: "p"}}, On: []string{"throttled"}},
	}
	closing := queue.Closing{Provider: "p", Message: "m", For: 1, Age: 2}
	requireGolden(t, "wire_queue.json", map[string]any{
		"names": []string{
			workflows.NameQueue, workflows.QueueID("name"), workflows.SignalSet, workflows.QueryStatus, workflows.MemoSettings,
			activities.UpdateGrant, activities.SignalLeave, activities.NameNudge,
		},
		"nudge":  activities.NudgeInput{Subject: "queue_name"},
		"change": queue.Replace(settings),
		"request": queue.Request{
			Worker: "w", Label: "l", Lease: 1, Grant: 2, InFlight: counts, Waiting: counts, Oldest: 3, First: 4, FirstOrder: 10, FirstClass: queue.Batch,
			Weight: 5, Requests: 6, Tokens: 7, Need: 8, Used: 9, Closings: []queue.Closing{closing}, Leaving: true,
		},
		"grant": queue.Grant{
			Lease: 1, Number: 2, Settings: settings, Permits: 3, Requests: 4, Tokens: 5, RequestRate: 6, TokenRate: 7, TTL: 8, RenewAfter: 9,
			Confirm: true, Before: 10, BeforeOrder: 11, BeforeClass: queue.Batch, Closings: []queue.Closing{closing},
		},
		"input": workflows.QueueInput{Name: "name", Books: &queue.Allocator{
			Name: "name", Settings: settings, Revision: 1, Now: 2, Opened: 3, Share: 4, ShareAt: 5, Cut: 6, Nudges: []string{"w"},
			Requests: queue.Account{Level: 7}, Tokens: queue.Account{Level: 8},
			Closed: []queue.Closed{{Provider: "p", Message: "m", Since: 1, Until: 2}}, Past: queue.Past{{At: 1, Requests: 2, Tokens: 3}},
			Leases: []queue.Lease{{
				Number: 1, Worker: "w", Label: "l", Expires: 2, Grant: 3, Granted: 4, Charged: 5, Revision: 6, InFlight: counts, Waiting: counts,
				Oldest: 7, First: 8, FirstOrder: 11, FirstClass: queue.Batch, Weight: 9, Need: 10, Nudged: true,
				Before: 12, BeforeOrder: 13, BeforeClass: queue.Batch,
				Requests: queue.Budget{Granted: 1, Spent: 2}, Tokens: queue.Budget{Granted: 3, Spent: 4},
			}},
		}},
	})
}
