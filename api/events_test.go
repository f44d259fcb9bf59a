package api_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/workflows"
)

// become makes the workflow of a batch publish another state.
func (b *testBundle) become(o batch.Object, status openai.Status, done int64) {
	at := int64(1)
	o.Status, o.InProgressAt = status, &at
	o.RequestCounts = openai.RequestCounts{Total: 100, Completed: done}
	b.temporal.mu.Lock()
	defer b.temporal.mu.Unlock()
	b.temporal.memos[o.ID] = map[string]any{workflows.MemoBatch: o}
}

// looks is how long a look at a batch may be late.
const looks = 300 * time.Millisecond

func TestEventsTellWhatBecomesOfABatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		o := b.created(t, "")
		e := b.listen(t.Context(), o.ID, "")
		time.Sleep(looks)
		synctest.Wait()
		require.Equal(t, http.StatusOK, e.status)
		require.Equal(t, "text/event-stream", e.header.Get("Content-Type"))
		require.Empty(t, e.names(t), "nothing has happened yet")
		want := []string{"batch.in_progress", "batch.progress", "batch.cancelling", "batch.progress", "batch.finalizing"}
		for i, s := range []openai.Status{openai.InProgress, openai.InProgress, openai.Cancelling, openai.Cancelling, openai.Finalizing} {
			b.become(o, s, int64(10*i))
			time.Sleep(progress)
			require.Equal(t, want[:i+1], e.names(t))
		}
		o = b.end(t, o)
		<-e.done
		events, _ := e.events(t)
		require.Equal(t, "batch.completed", events[len(events)-1].name)
		require.Equal(t, o, events[len(events)-1].object)
		require.Equal(t, int64(10), events[1].object.RequestCounts.Completed)
	})
}

// progress is how long an event of progress may be late.
const progress = looks + 500*time.Millisecond

func TestABatchThatHasEndedGetsItsFinalEventAtOnce(t *testing.T) {
	t.Parallel()
	for _, status := range []openai.Status{openai.Completed, openai.Failed, openai.Expired, openai.Cancelled} {
		synctest.Test(t, func(t *testing.T) {
			b := setup(t)
			o := b.created(t, "")
			o.Status = status
			require.NoError(t, b.store.PutJSON(t.Context(), workflows.Run{Project: "default", Batch: o.ID}.Object(), o))
			begun := time.Now()
			e := b.listen(t.Context(), o.ID, "")
			<-e.done
			require.Zero(t, time.Since(begun))
			events, _ := e.events(t)
			require.Len(t, events, 1)
			require.Equal(t, "batch."+string(status), events[0].name)

			again := b.listen(t.Context(), o.ID, events[0].id)
			<-again.done
			require.Equal(t, http.StatusNoContent, again.status, "which tells clients not to come again")
			require.Empty(t, again.names(t))
		})
	}
}

func TestAClientThatComesBackHearsOnlyWhatIsNew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		o := b.created(t, "")
		b.become(o, openai.InProgress, 10)
		ctx, leave := context.WithCancel(t.Context())
		first := b.listen(ctx, o.ID, "")
		time.Sleep(looks)
		leave()
		<-first.done
		events, _ := first.events(t)
		require.Len(t, events, 1)

		second := b.listen(t.Context(), o.ID, events[0].id)
		time.Sleep(progress)
		require.Empty(t, second.names(t))
		b.become(o, openai.InProgress, 11)
		time.Sleep(progress)
		require.Equal(t, []string{"batch.progress"}, second.names(t))
		b.end(t, o)
		<-second.done
		require.Equal(t, []string{"batch.progress", "batch.completed"}, second.names(t))

		for _, nonsense := range []string{"x", "1", "-1-5", "1-5x", "9999999999999999999999-1", "01-2"} {
			late := b.listen(t.Context(), o.ID, nonsense)
			<-late.done
			require.Equal(t, []string{"batch.completed"}, late.names(t), nonsense)
		}
	})
}

func TestProgressIsToldAtMostTwiceASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		o := b.created(t, "")
		e := b.listen(t.Context(), o.ID, "")
		const span = 10 * time.Second
		for begun := time.Now(); time.Since(begun) < span; time.Sleep(50 * time.Millisecond) {
			b.become(o, openai.InProgress, time.Since(begun).Milliseconds())
		}
		n := len(e.names(t)) - 1
		require.LessOrEqual(t, n, 20)
		require.GreaterOrEqual(t, n, 18)
		b.end(t, o)
		<-e.done
	})
}

func TestAQuietStreamHasHeartbeats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		o := b.created(t, "")
		e := b.listen(t.Context(), o.ID, "")
		time.Sleep(61 * time.Second)
		_, heartbeats := e.events(t)
		require.Equal(t, 4, heartbeats)
		b.api.Stop()
		<-e.done
		b.api.Stop()
	})
}

func TestManyListenersShareOneLook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		o := b.created(t, "")
		all := make([]*ear, 20)
		for i := range all {
			all[i] = b.listen(t.Context(), o.ID, "")
		}
		synctest.Wait()
		before := b.temporal.described()
		time.Sleep(10 * time.Second)
		require.InDelta(t, 40, b.temporal.described()-before, 1)
		b.end(t, o)
		for _, e := range all {
			<-e.done
			require.Equal(t, []string{"batch.completed"}, e.names(t))
		}
		before = b.temporal.described()
		time.Sleep(time.Minute)
		require.Equal(t, before, b.temporal.described(), "nobody listens, so nobody looks")
	})
}

func TestAListenerThatDoesNotReadIsDroppedAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		o := b.created(t, "")
		stuck, well := b.listen(t.Context(), o.ID, ""), b.listen(t.Context(), o.ID, "")
		synctest.Wait()
		stuck.mu.Lock()
		stuck.deaf = true
		stuck.mu.Unlock()
		var want []string
		for i := range 5 {
			b.become(o, openai.InProgress, int64(i))
			time.Sleep(progress)
			want = append(want, "batch.progress")
		}
		want[0] = "batch.in_progress"
		require.Equal(t, want, well.names(t))
		begun := time.Now()
		<-stuck.done
		require.Less(t, time.Since(begun), 10*time.Second)
		require.Empty(t, stuck.names(t))
		require.Empty(t, b.log.String())
		b.end(t, o)
		<-well.done
	})
}

func TestAListenerOutlastsATemporalThatIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		o := b.created(t, "")
		e := b.listen(t.Context(), o.ID, "")
		synctest.Wait()
		b.temporal.fail(serviceerror.NewUnavailable("away"))
		time.Sleep(time.Minute)
		b.temporal.fail(nil)
		b.become(o, openai.InProgress, 1)
		time.Sleep(looks)
		require.Equal(t, []string{"batch.in_progress"}, e.names(t))
		b.end(t, o)
		<-e.done
	})
}

func TestEventsOfAnUnknownBatchAreNotFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, id := range []string{"batch_00000000000000000000000000", "x"} {
		e := envelope(t, b.send(t, http.MethodGet, fmt.Sprintf("/v1/batches/%s/events", id), ""))
		require.Equal(t, http.StatusNotFound, e.Status)
	}
}
