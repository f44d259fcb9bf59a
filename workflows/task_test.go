package workflows_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/task"
	"github.com/headrace/headrace/workflows"
)

// taskBundle runs one group of tasks on a clock that skips. Its workers are
// scripted: each takes the next of the replies.
type taskBundle struct {
	*testing.T

	env   *testsuite.TestWorkflowEnvironment
	in    workflows.TaskInput
	begun time.Time

	mu     sync.Mutex
	begin  []reply
	carry  []reply
	asked  []task.Work // in order, of both
	hosts  []string    // task queues of Carry
	memo   []task.Again
	memoed int
}

// reply is what a worker does with work.
type reply struct {
	report task.Report
	err    error
}

func setupTask(t *testing.T, tasks int) *taskBundle {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	b := &taskBundle{T: t, env: suite.NewTestWorkflowEnvironment()}
	b.env.RegisterWorkflowWithOptions(workflows.Task, workflow.RegisterOptions{Name: workflows.NameTask})
	b.env.RegisterActivityWithOptions(func(ctx context.Context, w task.Work) (task.Report, error) {
		return b.reply(ctx, &b.begin, w)
	}, activity.RegisterOptions{Name: activities.NameBegin})
	var a *activities.Activities
	b.env.RegisterActivityWithOptions(a.Carry, activity.RegisterOptions{Name: activities.NameCarry})
	b.env.OnActivity(activities.NameCarry, mock.Anything, mock.Anything).Return(
		func(ctx context.Context, w task.Work) (task.Report, error) { return b.reply(ctx, &b.carry, w) }).Maybe()
	b.env.OnUpsertMemo(mock.Anything).Run(func(args mock.Arguments) {
		b.memo = args.Get(0).(map[string]any)[workflows.MemoWaiting].([]task.Again)
		b.memoed++
	}).Return(nil).Maybe()
	b.begun = b.env.Now()
	b.in = workflows.TaskInput{Project: "default", Group: task.NewGroup(), Created: task.MillisOf(b.begun)}
	for range tasks {
		b.in.Tasks = append(b.in.Tasks, task.Spec{URL: "/v1/embeddings", Body: "{}"})
	}
	return b
}

func (b *taskBundle) reply(ctx context.Context, from *[]reply, w task.Work) (task.Report, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, w)
	if from == &b.carry {
		b.hosts = append(b.hosts, activity.GetInfo(ctx).TaskQueue)
	}
	if len(*from) == 0 {
		return task.Report{}, nil
	}
	r := (*from)[0]
	*from = (*from)[1:]
	return r.report, r.err
}

// at is a time so long after the start.
func (b *taskBundle) at(after time.Duration) task.Millis { return task.MillisOf(b.begun.Add(after)) }

func (b *taskBundle) run() error {
	b.Helper()
	b.env.ExecuteWorkflow(workflows.NameTask, b.in)
	require.True(b, b.env.IsWorkflowCompleted())
	return b.env.GetWorkflowError()
}

func numbersOf(w task.Work) []int {
	var numbers []int
	for _, item := range w.Items {
		numbers = append(numbers, item.N)
	}
	return numbers
}

func TestTasksThatEndAtOnceNeedNoMoreThanOneDecision(t *testing.T) {
	t.Parallel()
	b := setupTask(t, 3)
	require.NoError(t, b.run())
	require.Len(t, b.asked, 1)
	require.Equal(t, []int{0, 1, 2}, numbersOf(b.asked[0]))
	require.Equal(t, task.Part{Project: "default", Group: b.in.Group}, b.asked[0].Part)
	require.Empty(t, b.hosts)
	require.Zero(t, b.memoed)
}

func TestTasksThatTakeLongerAreWaitedForWhereTheyAre(t *testing.T) {
	t.Parallel()
	b := setupTask(t, 2)
	b.begin = []reply{{report: task.Report{Unfinished: true, Host: "host-1"}}}
	require.NoError(t, b.run())
	require.Equal(t, []string{"host-1"}, b.hosts)
	require.Equal(t, []int{0, 1}, numbersOf(b.asked[1]))
}

func TestTasksOfAProcessThatDiedAreTakenOverByAnyWorker(t *testing.T) {
	t.Parallel()
	b := setupTask(t, 2)
	b.begin = []reply{{report: task.Report{Unfinished: true, Host: "host-1"}}}
	b.carry = []reply{{err: temporal.NewTimeoutError(3, nil, []task.Progress{{N: 1, Tries: 2}})}}
	require.NoError(t, b.run())
	require.Len(t, b.hosts, 2)
	require.Equal(t, "host-1", b.hosts[0])
	require.NotEqual(t, "host-1", b.hosts[1])
}

func TestAGroupEndsAsItsTasksDo(t *testing.T) {
	t.Parallel()
	b := setupTask(t, 3)
	b.begin = []reply{{report: task.Report{Failed: 1, Cancelled: 1}}}
	require.ErrorContains(t, b.run(), "failed tasks: 1")

	b = setupTask(t, 3)
	b.begin = []reply{{report: task.Report{Cancelled: 1}}}
	require.True(t, temporal.IsCanceledError(b.run()))
}

func TestATaskThatWasHandedBackComesAgainWhenItsTimeHasCome(t *testing.T) {
	t.Parallel()
	b := setupTask(t, 3)
	again := task.Again{N: 1, At: b.at(time.Hour), Tries: 1, WaitingOn: &batch.WaitingOn{Reason: batch.RateLimited}}
	b.begin = []reply{{report: task.Report{Again: []task.Again{again}}}}
	b.env.RegisterDelayedCallback(func() {
		require.Len(t, b.asked, 1, "a task that waits holds no worker")
		require.Equal(t, []task.Again{again}, b.memo)
	}, 59*time.Minute)
	require.NoError(t, b.run())
	require.Len(t, b.asked, 2)
	require.Equal(t, []int{1}, numbersOf(b.asked[1]))
	require.Equal(t, []task.Again{again}, b.asked[1].Earlier)
	require.Empty(t, b.memo)
	require.False(t, b.env.Now().Before(b.begun.Add(time.Hour-time.Millisecond)), "times are in milliseconds")
}

func TestACancelledTaskThatWaitsEndsAtOnceAndOthersWaitOn(t *testing.T) {
	t.Parallel()
	b := setupTask(t, 2)
	b.begin = []reply{
		{report: task.Report{Again: []task.Again{{N: 0, At: b.at(time.Hour)}, {N: 1, At: b.at(2 * time.Hour)}}}},
		{report: task.Report{Cancelled: 1}},
	}
	b.env.RegisterDelayedCallback(func() { b.env.SignalWorkflow(workflows.SignalCancel, []int{1}) }, time.Minute)
	b.env.RegisterDelayedCallback(func() {
		require.Len(t, b.asked, 2)
		require.Equal(t, []int{1}, numbersOf(b.asked[1]))
		require.Equal(t, []int{1}, b.asked[1].Cancel)
	}, 2*time.Minute)
	require.True(t, temporal.IsCanceledError(b.run()))
	require.Len(t, b.asked, 3)
	require.Equal(t, []int{0}, numbersOf(b.asked[2]))
	require.Empty(t, b.asked[2].Cancel)
}

func TestACancelledWorkflowCancelsAllItsTasks(t *testing.T) {
	t.Parallel()
	b := setupTask(t, 2)
	b.begin = []reply{
		{report: task.Report{Again: []task.Again{{N: 0, At: b.at(time.Hour)}, {N: 1, At: b.at(time.Hour)}}}},
		{report: task.Report{Cancelled: 2}},
	}
	b.env.RegisterDelayedCallback(b.env.CancelWorkflow, time.Minute)
	require.True(t, temporal.IsCanceledError(b.run()))
	require.Equal(t, []int{0, 1}, b.asked[1].Cancel)
	require.True(t, b.env.Now().Before(b.begun.Add(time.Hour)))
}

func TestAGroupInTheStoreIsRunPartByPart(t *testing.T) {
	t.Parallel()
	b := setupTask(t, 0)
	b.in.Stored = 2*task.PartSize + 1
	require.NoError(t, b.run())
	require.Len(t, b.asked, 3)
	parts := map[int]bool{}
	for _, w := range b.asked {
		require.Empty(t, w.Items)
		require.Empty(t, w.Only)
		parts[w.Part.Number] = true
	}
	require.Len(t, parts, 3)
}

func TestAGroupThatWaitsForVeryLongGoesOnInANewRun(t *testing.T) {
	t.Parallel()
	b := setupTask(t, 2)
	b.env.SetContinueAsNewSuggested(true)
	again := task.Again{N: 1, At: b.at(time.Hour), Tries: 3}
	b.begin = []reply{{report: task.Report{Failed: 1, Again: []task.Again{again}}}}
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, b.run(), &next)
	require.Equal(t, workflows.NameTask, next.WorkflowType.Name)

	c := setupTask(t, 0)
	require.NoError(t, converter(t, next, &c.in))
	require.Equal(t, []workflows.TaskPart{{Waiting: []task.Again{again}}}, c.in.Parts)
	require.ErrorContains(t, c.run(), "failed tasks: 1", "what has failed before counts")
	require.Len(t, c.asked, 1)
	require.Equal(t, []int{1}, numbersOf(c.asked[0]))
}

// TestTheWireOfTasksStaysAsItIs pins what histories and memos of tasks hold.
func TestTheWireOfTasksStaysAsItIs(t *testing.T) {
	t.Parallel()
	waiting := &batch.WaitingOn{Reason: batch.RateLimited, Message: "m", Since: 1}
	attempts := []task.Attempt{{StartedAt: 1, DurationMS: 2, WaitMS: 3, Error: &task.AttemptError{
		Kind: "transient", StatusCode: 500, Code: "c", Message: "m",
	}}}
	spec := task.Spec{
		URL: "https://example.com", Method: "PUT", Headers: map[string]string{"a": "b"}, Body: "{\"<\": 1}", Response: true, Stream: true,
		Trace: "00-t-s-01",
		Options: task.Options{
			Queue: "q", Priority: 1, MaxAttempts: 2, Timeout: batch.Duration(time.Second), NotBefore: 3, Deadline: 4, Webhook: "w",
			Metadata: map[string]string{"k": "v"}, Coalesce: true, Cache: batch.Duration(time.Hour),
			Fallback: batch.Fallback{Targets: []batch.Target{{Model: "m"}}, On: []string{"throttled"}},
		},
	}
	again := task.Again{N: 1, At: 2, StartedAt: 3, Tries: 4, Attempts: attempts, WaitingOn: waiting}
	part := task.Part{Project: "default", Group: "g", Number: 1}
	wire := map[string]any{
		"names": []string{
			workflows.NameTask, workflows.SignalCancel, workflows.MemoProject, workflows.MemoWaiting, task.WorkflowID("g"),
			activities.NameBegin, activities.NameCarry,
		},
		"input": workflows.TaskInput{
			Project: "default", Group: "g", Created: 1, Tasks: []task.Spec{spec}, Stored: 1, Failed: 2, Cancelled: 3,
			Parts: []workflows.TaskPart{{Number: 1, Waiting: []task.Again{again}}},
		},
		"work": task.Work{
			Part: part, Created: 1, Items: []task.Item{{N: 1, Spec: spec}}, Only: []int{1}, Earlier: []task.Again{again}, Cancel: []int{2},
		},
		"report":    task.Report{Unfinished: true, Host: "h", Heartbeat: batch.Duration(7 * time.Second), Again: []task.Again{again}, Failed: 1, Cancelled: 2},
		"heartbeat": []task.Progress{{N: 1, StartedAt: 2, Tries: 3, Attempts: attempts, WaitingOn: waiting}},
	}
	got, err := json.MarshalIndent(wire, "", "  ")
	require.NoError(t, err)
	golden := filepath.Join("testdata", "wire_task.json")
	if *update {
		require.NoError(t, os.WriteFile(golden, append(got, '\n'), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got)+"\n", "if this is meant, keep old histories replaying and run with -update")
}
