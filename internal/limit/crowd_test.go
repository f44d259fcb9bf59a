package limit_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/queue"
)

func TestALineTakesOnlySoManyImpatientCalls(t *testing.T) {
	const most = 16_384
	inWorld(t, queue.Settings{Paused: true}, func(w *world) {
		ctx, t := w.ctx, w.T
		m := w.join(ctx, "m", 0)
		working, stop := context.WithCancel(ctx)
		defer stop()
		impatient := limit.Ticket{Queue: "q", Provider: "p", Flow: "f", Accepted: 1, Patience: time.Hour}
		wait := m.crowd(working, most, func(int) limit.Ticket { return impatient })
		time.Sleep(time.Second)

		_, err := m.Enter(ctx, impatient)
		var closed *limit.ClosedError
		require.ErrorAs(t, err, &closed)
		require.ErrorContains(t, err, "the queue takes no more calls")
		waiting := closed.WaitingOn()
		require.Equal(t, batch.QueueCrowded, waiting.Reason, "the provider is not to blame")
		require.Contains(t, waiting.Message, "16384 calls wait in the queue q")
		require.Equal(t, time.Now().Add(20*time.Second).Unix(), *waiting.Until)
		require.Equal(t, batch.Paused, m.WaitingOn("q", "p").Reason, "those in the line wait for something else")

		brief, end := context.WithTimeout(ctx, time.Second)
		defer end()
		patient := impatient
		patient.Patience = 0
		_, err = m.Enter(brief, patient)
		require.ErrorIs(t, err, context.DeadlineExceeded, "who is patient may wait")
		stop()
		wait()
		require.Zero(t, m.Position(impatient))
	})
}
