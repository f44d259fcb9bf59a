package dispatch_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/llm"
)

// TestALongLineIsNoReasonToFallBack has one call hold the only place of the process,
// and all others wait for it.
func TestALongLineIsNoReasonToFallBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const most = 16_384
		s := setup(t)
		c := call(llm.Transient, llm.Throttled)
		c.Bounded, c.Patience = true, time.Hour
		_, err := s.do(t, c)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var line sync.WaitGroup
		for range most {
			line.Go(func() { _, _ = s.gate.Enter(ctx, limit.Ticket{Bounded: true, Patience: time.Hour}) })
		}
		synctest.Wait()
		_, err = s.do(t, c)
		closed, ok := errors.AsType[*limit.ClosedError](err)
		require.True(t, ok, "%v", err)
		require.True(t, closed.Crowded)

		patient := call(llm.Transient, llm.Throttled)
		patient.Bounded = true
		time.AfterFunc(time.Minute, func() {
			cancel()
			line.Wait()
			s.gate.Release()
		})
		begun := time.Now()
		response, err := s.do(t, patient)
		require.NoError(t, err)
		require.Zero(t, response.Via)
		require.Equal(t, time.Minute, time.Since(begun))
		require.Equal(t, []int{2, 0, 0}, s.counts())
	})
}
