package e2e_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"

	"github.com/headrace/headrace/internal/task"
)

// TestRecordTaskHistories is no test, see TestRecordHistories.
func TestRecordTaskHistories(t *testing.T) {
	t.Parallel()
	dir := recordings(t)
	for name, play := range taskScenarios() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, name)
			saveHistory(t, filepath.Join(dir, name+".json"), s.taskHistory(play(&system{url: s.url, upstream: s.up}, s)))
		})
	}
}

// taskScenarios are lives that a group of tasks can have. Each plays one and
// returns the id of a task of it.
func taskScenarios() map[string]func(*system, *stage) string {
	one := func(prompt, directive, options string) func(*system, *stage) string {
		return func(s *system, st *stage) string {
			id := s.addID(st.t, chatTask(directed(prompt, directive), options))
			s.ended(st.t, id)
			return id
		}
	}
	return map[string]func(*system, *stage) string{
		"task_short":  one("Short", "latency=10ms", ""),
		"task_long":   one("Long", "latency=4s", ""),
		"task_failed": one("Failed", "status=400", ""),
		"task_later":  one("Later", "latency=10ms", `,"not_before":"7s"`),
		"task_many": func(s *system, st *stage) string {
			many := make([]string, task.PartSize+10)
			for i := range many {
				many[i] = chatTask(directed("One of many", "latency=10ms"), "")
			}
			ids := idsOf(s.add(st.t, list(many...)))
			for _, id := range ids {
				s.completed(st.t, id)
			}
			return ids[0]
		},
		"task_cancelled": func(s *system, st *stage) string {
			ids := idsOf(s.add(st.t, list(
				chatTask(directed("Stays", "latency=6s"), ""), chatTask(directed("Goes", "latency=60s"), ""),
			)))
			s.awaitTask(st.t, ids[1], "in progress", calling)
			s.cancelTask(st.t, ids[1])
			s.ended(st.t, ids[0])
			return ids[0]
		},
		"task_worker_killed": func(s *system, st *stage) string {
			id := s.addID(st.t, chatTask(directed("Survives", "latency=5s"), ""))
			s.awaitTask(st.t, id, "in progress", calling)
			st.work.kill()
			st.worker(st.up.URL())
			s.ended(st.t, id)
			return id
		},
	}
}

// taskHistory is that of the workflow of a task.
func (c *cluster) taskHistory(id string) *history.History {
	c.t.Helper()
	parsed, ok := task.ParseID(task.Prefix, id)
	require.True(c.t, ok)
	_ = c.dial().GetWorkflow(c.t.Context(), parsed.Workflow(), "").Get(c.t.Context(), nil) // fails if the task did
	return c.historySoFar(parsed.Workflow())
}

// historySoFar is that of the latest run of a workflow.
func (c *cluster) historySoFar(id string) *history.History {
	c.t.Helper()
	h := &history.History{}
	events := c.dial().GetWorkflowHistory(c.t.Context(), id, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		require.NoError(c.t, err)
		h.Events = append(h.Events, e)
	}
	return h
}
