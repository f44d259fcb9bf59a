package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headrace/headrace/api"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/workflows"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// closed is when workflows ended that have ended.
var closed = time.Unix(1_800_000_000, 0)

// temporal is a Temporal server that runs nothing: it keeps what is started and
// describes it as its fields say.
type temporal struct {
	client.Client

	mu      sync.Mutex
	started map[string]workflows.BatchInput
	memos   map[string]map[string]any
	asked   []string // signals and cancellations, by name
	said    []any    // with signals
	looks   int      // at workflows

	err      error                      // of every call, if set
	flaky    int                        // starts that fail after they have happened
	gone     error                      // of signals, if set
	batchErr error                      // of starts of batches, if set
	overtake func(workflows.BatchInput) // if set, another process starts each batch first, and does this
	status   enums.WorkflowExecutionStatus
	pending  []*workflowpb.PendingActivityInfo
}

func (f *temporal) CheckHealth(context.Context, *client.CheckHealthRequest) (*client.CheckHealthResponse, error) {
	return &client.CheckHealthResponse{}, f.err
}

func (f *temporal) ExecuteWorkflow(_ context.Context, o client.StartWorkflowOptions, name any, args ...any) (client.WorkflowRun, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return nil, f.err
	}
	if _, found := f.memos[o.ID]; found && o.WorkflowExecutionErrorWhenAlreadyStarted {
		return nil, serviceerror.NewWorkflowExecutionAlreadyStarted("already started", "", "")
	}
	if name == workflows.NameBatch {
		if f.batchErr != nil {
			return nil, f.batchErr
		}
		f.started[o.ID] = *args[0].(*workflows.BatchInput)
		if f.overtake != nil {
			f.overtake(f.started[o.ID])
			return nil, serviceerror.NewWorkflowExecutionAlreadyStarted("already started", "", "")
		}
	}
	f.memos[o.ID] = o.Memo
	if f.flaky > 0 {
		f.flaky--
		return nil, serviceerror.NewInternal("the answer got lost")
	}
	return nil, nil
}

// described is how often a workflow was looked at.
func (f *temporal) described() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.looks
}

// fail makes every call fail from now on, or none.
func (f *temporal) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *temporal) ask(what string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, what)
	return f.err
}

func (f *temporal) CancelWorkflow(context.Context, string, string) error { return f.ask("cancel") }

func (f *temporal) SignalWorkflow(_ context.Context, _, _, signal string, arg any) error {
	f.mu.Lock()
	f.said = append(f.said, arg)
	gone := f.gone
	f.mu.Unlock()
	if gone != nil {
		return gone
	}
	return f.ask("signal " + signal)
}

func (f *temporal) DescribeWorkflowExecution(_ context.Context, id, _ string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looks++
	memo, ok := f.memos[id]
	switch {
	case f.err != nil:
		return nil, f.err
	case !ok:
		return nil, serviceerror.NewNotFound("no such workflow")
	}
	info := &workflowpb.WorkflowExecutionInfo{Status: f.status, Memo: memoOf(memo), CloseTime: timestamppb.New(closed)}
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: info, PendingActivities: f.pending}, nil
}

// testBundle is an API over fakes.
type testBundle struct {
	api      *api.API
	temporal *temporal
	store    *store.Store
	log      *bytes.Buffer
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	s, err := store.Open(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	b := &testBundle{store: s, log: &bytes.Buffer{}, temporal: &temporal{
		started: map[string]workflows.BatchInput{}, memos: map[string]map[string]any{}, status: enums.WORKFLOW_EXECUTION_STATUS_RUNNING,
	}}
	b.api = api.New(api.Options{Temporal: b.temporal, Store: s, Logger: slog.New(slog.NewTextHandler(b.log, nil))})
	return b
}

// send makes one request. Headers come as "Name: value".
func (b *testBundle) send(t *testing.T, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	b.api.ServeHTTP(w, r)
	return w
}

// upload uploads a file for batches and returns its id.
func (b *testBundle) upload(t *testing.T, content string, headers ...string) string {
	t.Helper()
	w := b.send(t, http.MethodPost, "/v1/files",
		"--x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n"+
			"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\r\n"+content+"\r\n--x--\r\n",
		append(headers, "Content-Type: multipart/form-data; boundary=x")...)
	require.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
	return decode[openai.File](t, w.Body).ID
}

func decode[T any](t *testing.T, r io.Reader) T {
	t.Helper()
	var v T
	require.NoError(t, json.NewDecoder(r).Decode(&v))
	return v
}

// envelope is the error of a refusal, whose form it checks.
func envelope(t *testing.T, w *httptest.ResponseRecorder) openai.Error {
	t.Helper()
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	require.Regexp(t, `^req_[0-9a-z]{26}$`, w.Header().Get("X-Request-Id"))
	e := decode[openai.Envelope](t, w.Body).Error
	require.NotNil(t, e)
	require.NotEmpty(t, e.Message)
	require.NotEmpty(t, e.Type)
	e.Status = w.Code
	return *e
}

func payload(v any) *common.Payload {
	p, err := converter.GetDefaultDataConverter().ToPayload(v)
	if err != nil { // what tests encode is plain
		panic(err)
	}
	return p
}

func memoOf(values map[string]any) *common.Memo {
	fields := map[string]*common.Payload{}
	for name, v := range values {
		fields[name] = payload(v)
	}
	return &common.Memo{Fields: fields}
}
