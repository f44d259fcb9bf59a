package simulator_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
)

func TestAServerStopsAtOnceWhateverIsInFlightAndTwice(t *testing.T) {
	t.Parallel()
	run, err := simulator.Start(t.Context(), "127.0.0.1:0", simulator.Options{}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(run.URL(), "http://127.0.0.1:"))
	require.True(t, strings.HasSuffix(run.URL(), "/v1"))
	stalled := make(chan error)
	go func() {
		_, err := attempt(t, run, question("q", "sim:stall"))
		stalled <- err
	}()
	require.Eventually(t, func() bool { return run.Stats().InFlight == 1 }, 10*time.Second, time.Millisecond)

	require.NoError(t, run.Stop(t.Context()))
	require.Error(t, <-stalled)
	require.NoError(t, run.Stop(t.Context()))
	<-run.Done()
	require.Zero(t, run.Stats().InFlight)
	_, err = attempt(t, run, question("q", ""))
	require.Error(t, err)
}

func TestAServerEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	run, err := simulator.Start(ctx, "127.0.0.1:0", simulator.Options{}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	cancel()
	<-run.Done()
	require.NoError(t, run.Stop(t.Context()))
}

func TestAServerThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	_, err := simulator.Start(t.Context(), "127.0.0.1:0", simulator.Options{RPM: -1}, log)
	require.ErrorContains(t, err, "simulator options: rpm is -1")
	run := start(t, simulator.Options{})
	_, err = simulator.Start(t.Context(), run.Addr().String(), simulator.Options{}, log)
	require.ErrorContains(t, err, "listen for the simulator")
}

func TestAConnectionServesOneCallAfterTheOther(t *testing.T) {
	t.Parallel()
	run := start(t, simulator.Options{})
	c := client(t)
	for range 20 {
		a, err := send(t.Context(), c, run, http.MethodPost, string(openai.ChatCompletions), question("q", ""))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, a.status)
	}
	require.Equal(t, int64(1), run.Stats().OpenConnections)
}
