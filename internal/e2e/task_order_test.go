package e2e_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// TestATaskThatHasEndedIsSeenSoByAll asks again at once after having waited for
// the end.
func TestATaskThatHasEndedIsSeenSoByAll(t *testing.T) {
	t.Parallel()
	s := alone(t)
	var all sync.WaitGroup
	back := make(chan string, 200)
	for i := range cap(back) {
		id := s.addID(t, chatTask(chatBody(fmt.Sprintf("Order %d", i), ""), ""))
		all.Go(func() {
			waited := gjson.GetBytes(s.get(t, "/v1/tasks/"+id+"?wait=1m").body, "status").Str
			if after := s.task(t, id).Get("status").Str; after != waited {
				back <- waited + " then " + after
			}
		})
	}
	all.Wait()
	close(back)
	for steps := range back {
		require.Fail(t, steps)
	}
}
