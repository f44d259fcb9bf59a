package api_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/workflows"
)

// created creates a batch that must start.
func (b *testBundle) created(t *testing.T, more string) batch.Object {
	t.Helper()
	w := b.create(t, more)
	require.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
	return decode[batch.Object](t, w.Body)
}

func (b *testBundle) get(t *testing.T, id string) batch.Object {
	t.Helper()
	w := b.send(t, http.MethodGet, "/v1/batches/"+id, "")
	require.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
	return decode[batch.Object](t, w.Body)
}

func TestABatchStartsAsItWasAskedFor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		more          string
		want          batch.Options
		outputSeconds int64
	}{
		"defaults": {"", batch.DefaultOptions(), 30 * 24 * 3600},
		"all null": {`,"headrace":null,"metadata":null,"output_expires_after":null`, batch.DefaultOptions(), 30 * 24 * 3600},
		"everything": {`,"headrace":{"max_concurrency":10000,"max_attempts":100,"timeout":"1d","queue":"nightly","priority":100,"fallback":{"targets":[{"model":"m"},{"provider":"p","model":"n"}],"on":["throttled","transient"]}},"output_expires_after":{"anchor":"created_at","seconds":3600}`, batch.Options{
			MaxConcurrency: 10000, MaxAttempts: 100, Timeout: batch.Duration(24 * time.Hour), Queue: "nightly", Priority: new(100),
			Fallback: batch.Fallback{Targets: []batch.Target{{Model: "m"}, {Model: "n", Provider: "p"}}, On: []string{"throttled", "transient"}},
		}, 3600},
		"some": {`,"headrace":{"max_attempts":1,"priority":"interactive","fallback":null}`, batch.Options{
			MaxConcurrency: 64, MaxAttempts: 1, Timeout: batch.DefaultTimeout, Priority: new(0),
		}, 30 * 24 * 3600},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			o := b.created(t, c.more)
			require.Equal(t, c.want, o.Headrace.Options)
			require.Equal(t, workflows.BatchInput{
				Run: workflows.Run{Project: store.DefaultProject, Batch: o.ID}, Object: o, OutputSeconds: c.outputSeconds,
			}, b.temporal.started[o.ID])
			require.Equal(t, map[string]any{workflows.MemoBatch: o}, b.temporal.memos[o.ID])
			require.Equal(t, o, b.get(t, o.ID), "and is seen at once")
		})
	}
}

func TestABatchOfAnUnknownFileStartsInOrderToFail(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, file := range []string{"file-00000000000000000000000000", "file-abc", "../../secret"} {
		w := b.send(t, http.MethodPost, "/v1/batches", `{"input_file_id":"`+file+chatBatch+"}")
		require.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
		require.True(t, b.temporal.started[decode[batch.Object](t, w.Body).ID].InputMissing)
	}
}

func TestABatchKeepsItsInputWhoeverDeletesTheFile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.created(t, "")
	require.Equal(t, http.StatusOK, b.send(t, http.MethodDelete, "/v1/files/"+o.InputFileID, "").Code)
	r, err := b.store.OpenFileData(t.Context(), store.DefaultProject, o.InputFileID, 0, -1)
	require.NoError(t, err)
	content, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Equal(t, "{}", string(content))
}

func TestABatchThatDidNotStartIsNotListed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.created(t, "")
	b.temporal.err = serviceerror.NewUnavailable("away")
	require.Equal(t, http.StatusServiceUnavailable, b.create(t, "").Code)
	b.temporal.err = nil
	list := decode[openai.List[batch.Object]](t, b.send(t, http.MethodGet, "/v1/batches", "").Body)
	require.Equal(t, []batch.Object{first}, list.Data)
}

func TestABatchStartsOnceThoughTemporalFailsAtFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.temporal.flaky = 2
	o := b.created(t, "")
	require.Len(t, b.temporal.started, 1)
	require.Contains(t, b.temporal.started, o.ID)
}

// TestARunningBatchShowsWhatItsLanesReport has three lanes, one of which has not
// reported yet and one has left, and an activity that is no lane.
func TestARunningBatchShowsWhatItsLanesReport(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.created(t, "").ID
	at := int64(1)
	memo := b.temporal.memos[id][workflows.MemoBatch].(batch.Object)
	memo.Status, memo.InProgressAt = openai.InProgress, &at
	memo.RequestCounts = openai.RequestCounts{Total: 100, Completed: 10, Failed: 1}
	memo.Usage = &openai.Usage{TotalTokens: 5}
	b.temporal.memos[id][workflows.MemoBatch] = memo
	b.temporal.memos[id][workflows.MemoLeft] = []int{0}
	lane := func(name string, progress ...any) *workflowpb.PendingActivityInfo {
		info := &workflowpb.PendingActivityInfo{ActivityType: &common.ActivityType{Name: name}}
		for _, p := range progress {
			info.HeartbeatDetails = &common.Payloads{Payloads: []*common.Payload{payload(p)}}
		}
		return info
	}
	waiting := &batch.WaitingOn{Reason: batch.RateLimited, Message: "slow down", Since: 7}
	b.temporal.pending = []*workflowpb.PendingActivityInfo{
		lane(workflows.NameLane, batch.Progress{Lane: 2, Completed: 20, Failed: 2, InFlight: 3, Retrying: 4, WaitingOn: waiting, Usage: openai.Usage{TotalTokens: 6}}),
		lane(workflows.NameLane),
		lane("Plan", int64(12345)),
		lane(workflows.NameLane, batch.Progress{Lane: 0, Completed: 10, Failed: 1}), // has left: it is in the memo
	}
	o := b.get(t, id)
	require.Equal(t, openai.InProgress, o.Status)
	require.Equal(t, openai.RequestCounts{Total: 100, Completed: 30, Failed: 3}, o.RequestCounts)
	require.Equal(t, int64(11), o.Usage.TotalTokens)
	require.Equal(t, 3, o.Headrace.InFlight)
	require.Equal(t, 4, o.Headrace.Retrying)
	require.Equal(t, waiting, o.Headrace.WaitingOn)
}

func TestABatchWhoseWorkflowWasEndedByHandHasFailed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.created(t, "").ID
	b.temporal.status = enums.WORKFLOW_EXECUTION_STATUS_TERMINATED
	o := b.get(t, id)
	require.Equal(t, openai.Failed, o.Status)
	require.Equal(t, closed.Unix(), *o.FailedAt)
	require.Equal(t, []openai.BatchError{{
		Code: "workflow_Terminated", Message: "The workflow of this batch was ended from outside.",
	}}, o.Errors.Data)
}

// TestABatchThatHasEndedIsReadFromTheStore outlives Temporal's retention.
func TestABatchThatHasEndedIsReadFromTheStore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.created(t, "")
	o.Status = openai.Completed
	require.NoError(t, b.store.PutJSON(t.Context(), workflows.Run{Project: store.DefaultProject, Batch: o.ID}.Object(), o))
	b.temporal.err = serviceerror.NewNotFound("past retention")
	require.Equal(t, o, b.get(t, o.ID))
}

func TestCancellingAsksTheWorkflow(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][]string{
		"":                            {"cancel"},
		"{}":                          {"cancel"},
		`{"headrace":{}}`:             {"cancel"},
		`{"headrace":{"abort":true}}`: {"signal " + workflows.SignalAbort, "cancel"},
	} {
		b := setup(t)
		id := b.created(t, "").ID
		w := b.send(t, http.MethodPost, "/v1/batches/"+id+"/cancel", body)
		require.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
		o := decode[batch.Object](t, w.Body)
		require.Equal(t, openai.Cancelling, o.Status)
		require.NotNil(t, o.CancellingAt)
		require.Equal(t, want, b.temporal.asked)
	}
}

func TestAWrongCancellationIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.created(t, "").ID
	for body, param := range map[string]string{`{"abort":true}`: "abort", `{"headrace":{"abort":1}}`: "headrace.abort"} {
		e := envelope(t, b.send(t, http.MethodPost, "/v1/batches/"+id+"/cancel", body))
		require.Equal(t, http.StatusBadRequest, e.Status)
		require.Equal(t, param, *e.Param)
	}
	require.Empty(t, b.temporal.asked)
}
