package e2e_test

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// namesOf are those of events.
func namesOf(events []event) []string {
	var names []string
	for _, e := range events {
		names = append(names, e.name)
	}
	return names
}

// requireTaskEvents checks what holds for every stream of a task's events.
func requireTaskEvents(t *testing.T, id string, all []event) {
	t.Helper()
	last := int64(-1)
	for i, e := range all {
		o := gjson.Parse(e.data)
		require.Equal(t, id, o.Get("id").Str)
		n, err := strconv.ParseInt(e.id, 10, 64)
		require.NoError(t, err, "id %q", e.id)
		require.Greater(t, n, last, "ids increase")
		last = n
		if i < len(all)-1 {
			require.False(t, o.Get("result.body").Exists(), "a task under way has no answer")
		}
	}
}

func TestEventsFollowATaskToItsEnd(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, c := range []struct {
		body string
		want []string
	}{
		{directed(fmt.Sprintf("Followed, %d", time.Now().UnixNano()), "latency=2s"), []string{"task.in_progress", "task.completed"}},
		{
			directed(fmt.Sprintf("Fails once and is followed, %d", time.Now().UnixNano()), "status=500;fail=1;latency=1s"),
			[]string{"task.in_progress", "task.retrying", "task.completed"},
		},
		{directed("Fails and is followed", "status=400"), []string{"task.failed"}},
	} {
		id := s.addID(t, chatTask(c.body, ""))
		path := "/v1/tasks/" + id + "/events"
		var all []event
		s.events(t, path, "", keep(&all))
		requireTaskEvents(t, id, all)
		// What is over before it is looked at is not told: each call but the last
		// takes long enough.
		names := namesOf(all)
		for len(names) > len(c.want) && (names[0] == "task.queued" || names[0] == "task.in_progress") {
			names = names[1:]
		}
		if onCluster { // from another process the first three seconds of a task are not seen
			names, c.want = names[len(names)-1:], c.want[len(c.want)-1:]
		}
		require.Equal(t, c.want, names)
		require.JSONEq(t, s.task(t, id).Raw, all[len(all)-1].data)

		var again []event
		s.events(t, path, "", keep(&again))
		require.Equal(t, names[len(names)-1:], namesOf(again), "a task that has ended has its final event alone")
	}
}

// tryCancel asks for the end of a task, from any goroutine.
func (s *system) tryCancel(id string) {
	if res, err := http.Post(s.url+"/v1/tasks/"+id+"/cancel", "application/json", http.NoBody); err == nil {
		_ = res.Body.Close()
	}
}

func TestEventsTellOfACancelledTask(t *testing.T) {
	t.Parallel()
	s := shared(t)
	id := s.addID(t, chatTask(directed("Is cancelled and followed", "stall"), ""))
	var all []event
	s.events(t, "/v1/tasks/"+id+"/events", "", func(e event) bool {
		all = append(all, e)
		if e.name == "task.in_progress" {
			go s.tryCancel(id)
		}
		return true
	})
	requireTaskEvents(t, id, all)
	require.Equal(t, "task.cancelled", all[len(all)-1].name)
}
