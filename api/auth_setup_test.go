package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
	"go.temporal.io/api/common/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/headrace/headrace/api"
	"github.com/headrace/headrace/internal/apikey"
	"github.com/headrace/headrace/internal/queue"
	"github.com/headrace/headrace/internal/seal"
	"github.com/headrace/headrace/internal/task"
	"github.com/headrace/headrace/workflows"
)

// Names of keys. Each scope has a key of its own name, too.
const (
	keyShop   = "shop"   // everything in the project shop
	keyRival  = "rival"  // everything in the project rival
	keyBoth   = "both"   // submit and read, of shop
	keyOld    = "old"    // of shop, expired
	keyNobody = "nobody" // not on the ring
)

// allTemporal is a Temporal server that lists the groups of tasks that it keeps.
type allTemporal struct{ *queueTemporal }

func (f *allTemporal) ListWorkflow(
	ctx context.Context, r *workflowservice.ListWorkflowExecutionsRequest,
) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	if !strings.Contains(r.GetQuery(), "'"+workflows.NameTask+"'") {
		return f.queueTemporal.ListWorkflow(ctx, r)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	page := &workflowservice.ListWorkflowExecutionsResponse{}
	for id := range f.inputs {
		page.Executions = append(page.Executions, &workflowpb.WorkflowExecutionInfo{
			Execution: &common.WorkflowExecution{WorkflowId: id}, Memo: memoOf(f.memos[id]),
		})
	}
	return page, nil
}

// shortcut is a runner that has some tasks under way.
type shortcut struct {
	project string
	objects map[task.ID]task.Object
	cut     []task.ID
}

func (s *shortcut) Get(project string, id task.ID) (task.Object, bool) {
	o, ok := s.objects[id]
	return o, ok && project == s.project
}

func (s *shortcut) Spec(project string, id task.ID) (task.Spec, bool) {
	_, ok := s.Get(project, id)
	return task.Spec{Body: `{"model":"secret"}`}, ok
}

func (s *shortcut) Cancel(project string, id task.ID) {
	if project == s.project {
		s.cut = append(s.cut, id)
	}
}

// keysBundle is an API that asks for keys.
type keysBundle struct {
	*responsesBundle

	runner  *shortcut         // of the API if shortCut was called
	header  map[string]string // that shows a key, by the key's name
	ring    *apikey.Ring
	sealing *seal.Keys
	fake    *allTemporal
}

func setupKeys(t *testing.T) *keysBundle {
	t.Helper()
	b := &keysBundle{responsesBundle: setupResponses(t), header: map[string]string{}}
	b.fake = &allTemporal{&queueTemporal{
		taskTemporal: b.tasks, signals: map[string][]queue.Change{}, live: map[string]queue.Status{}, starts: map[string]workflows.QueueInput{},
	}}
	var keys []apikey.Key
	add := func(name, project string, expires time.Time, scopes ...apikey.Scope) {
		key, hash := apikey.New()
		b.header[name] = "Authorization: Bearer " + key.Reveal()
		if name != keyNobody {
			keys = append(keys, apikey.Key{Name: name, Project: project, Hash: hash, Scopes: scopes, Expires: expires})
		}
	}
	never := time.Time{}
	for _, s := range apikey.Scopes() {
		add(string(s), "shop", never, s)
	}
	add(keyBoth, "shop", never, apikey.Submit, apikey.Read)
	add(keyShop, "shop", never, apikey.Admin)
	add(keyRival, "rival", never, apikey.Admin)
	add(keyOld, "shop", time.Now().Add(-time.Second), apikey.Admin)
	add(keyNobody, "", never)
	var err error
	b.ring, err = apikey.NewRing(keys)
	require.NoError(t, err)
	b.sealing, err = seal.New(seal.Key{ID: "k1", Secret: seal.NewKey()})
	require.NoError(t, err)
	b.serve(nil)
	return b
}

// serve makes the bundle's API anew.
func (b *keysBundle) serve(r api.Runner) {
	b.api = api.New(api.Options{
		Temporal: b.fake, Store: b.store, Logs: b.logs, Logger: slog.New(slog.NewTextHandler(b.log, nil)), Keys: b.ring, Runner: r,
		Sealing: b.sealing,
	})
}

// as makes a request with a key.
func (b *keysBundle) as(t *testing.T, key, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	return b.send(t, method, path, body, append(headers, b.header[key])...)
}

// made makes a request with a key that must succeed, and returns the answer.
func (b *keysBundle) made(t *testing.T, key, method, path, body string, headers ...string) gjson.Result {
	t.Helper()
	w := b.as(t, key, method, path, body, headers...)
	require.Less(t, w.Code, http.StatusMultipleChoices, "%s", w.Body)
	return gjson.ParseBytes(w.Body.Bytes())
}
