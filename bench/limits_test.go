package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	main "github.com/headrace/headrace/bench"
	"github.com/headrace/headrace/internal/simulator"
)

// A silence is judged by when calls arrived, whoever refused them and whenever
// they were answered.
func TestASilenceBeginsWithTheFirstRefusalToAnyWorker(t *testing.T) {
	t.Parallel()
	const refused = http.StatusTooManyRequests
	underWay, soon, late, err := main.SilenceOf(20*time.Second,
		[]main.Visited{
			main.Visit(0, 900, 200), // over before
			main.Visit(700, 1000, refused),
			main.Visit(800, 1200, refused),
			main.Visit(900, 1300, 200), // had come under other options
			main.Visit(1100, 1400, refused),
			main.Visit(20_999, 21_200, refused),
			main.Visit(21_000, 21_300, 200), // the pause is over
		},
		[]main.Visited{main.Visit(990, 0, 0), main.Visit(1999, 2500, refused), main.Visit(2000, 2500, refused)},
		nil,
	)
	require.NoError(t, err)
	require.Equal(t, []int{3, 1, 0}, underWay)
	require.Equal(t, []int{1, 1, 0}, soon)
	require.Equal(t, []int{1, 1, 0}, late)

	_, _, _, err = main.SilenceOf(time.Second, []main.Visited{main.Visit(1, 2, 200)})
	require.ErrorContains(t, err, "nobody was refused")
}

func TestThereIsAlwaysAWorkerLeftToKillAndInTheEndAllAreBack(t *testing.T) {
	t.Parallel()
	for seed := range uint64(1000) {
		left := main.Workers(seed, time.Minute, 6)
		require.Len(t, left, 12)
		require.Positive(t, slices.Min(left))
		require.Equal(t, 3, left[len(left)-1])
	}
}

func TestAShareIsOfWhatTheTimeAllows(t *testing.T) {
	t.Parallel()
	requests, tokens, refusals := main.Shares(9090, 9000, 90, 300, 3*time.Minute)
	require.InDelta(t, 1, requests, 1e-9)
	require.InDelta(t, 0.9, tokens, 1e-9)
	require.InDelta(t, 90.0/9090, refusals, 1e-9)
}

// The provider grants tokens by what it counts, so each line has to cost exactly
// what it is said to.
func TestALineCostsTheTokensThatItIsSaidTo(t *testing.T) {
	t.Parallel()
	sim, err := simulator.New(simulator.Options{})
	require.NoError(t, err)
	for _, tokens := range []int{319, 346} {
		seen := map[string]bool{}
		for i := range 3 {
			var line bytes.Buffer
			main.Costing(tokens)(&line, 1000*i)
			body := gjson.GetBytes(line.Bytes(), "body").Raw
			answer, err := sim.Answer("/v1/chat/completions", []byte(body))
			require.NoError(t, err)
			require.EqualValues(t, tokens, gjson.GetBytes(answer, "usage.total_tokens").Int(), "%s", answer)
			seen[body] = true
		}
		require.Len(t, seen, 3)
	}
}

func TestADoorNotesWhoComesAndHowTheyAreAnswered(t *testing.T) {
	t.Parallel()
	ctx, shut := context.WithCancel(t.Context())
	defer shut()
	sim, doors, err := main.OpenDoors(ctx, simulator.Options{}, 2)
	require.NoError(t, err)
	call := func(d main.Door, text string) int {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URL()+"/chat/completions",
			strings.NewReader(`{"model":"m","messages":[{"role":"user","content":"`+text+`"}]}`))
		require.NoError(t, err)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer func() { _ = res.Body.Close() }()
		return res.StatusCode
	}
	begun := time.Now()
	require.Equal(t, http.StatusOK, call(doors[0], "first"))
	require.NoError(t, sim.Set(simulator.Options{Faults: simulator.Faults{Throttled: 1}}))
	require.Equal(t, http.StatusTooManyRequests, call(doors[0], "second"))
	require.Eventually(t, func() bool { // a call is noted as over after its answer
		statuses := doors[0].Statuses()
		return len(statuses) == 2 && statuses[1] == http.StatusTooManyRequests && statuses[0] == http.StatusOK
	}, 20*time.Second, time.Millisecond)
	require.Empty(t, doors[1].Statuses())
	require.True(t, doors[0].Came(begun, "second"))
	require.False(t, doors[0].Came(begun, "third"))
	require.False(t, doors[0].Came(time.Now(), "second"), "it came before")
	require.False(t, doors[1].Came(begun, "first"))
	require.EqualValues(t, 2, sim.Stats().Calls, "both doors lead into one simulator")
}

func TestATaskMayNameTheQueueThatIsMeasured(t *testing.T) {
	t.Parallel()
	task := main.Queued(main.NewTask(7))
	require.True(t, json.Valid([]byte(task)), task)
	require.Equal(t, "bench", gjson.Get(task, "queue").Str)
	require.Equal(t, "Task 7", gjson.Get(task, "body.messages.0.content").Str)
}
