package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/dispatch"
	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
)

// asActivity runs a method of Activities as an activity and decodes its result.
func asActivity(t *testing.T, method func(*activities.Activities) any, result any, args ...any) {
	t.Helper()
	s, err := store.Open(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	env := (&testsuite.WorkflowTestSuite{}).NewTestActivityEnvironment()
	do := method(&activities.Activities{
		Store: s, Dispatcher: dispatch.New(limit.New(limit.Options{}), dispatch.Route{Name: "provider"}),
	})
	env.RegisterActivity(do)
	var value converter.EncodedValue
	value, err = env.ExecuteActivity(do, args...)
	require.NoError(t, err)
	require.NoError(t, value.Get(result))
}

// The first chunks of a batch are its largest, and a lane does not know their
// size before it has opened one. One that took several would be busy with them
// long after the others have run out of work.
func TestALaneBeginsWithOneChunk(t *testing.T) {
	t.Parallel()
	in := activities.WorkInput{Options: batch.DefaultOptions(), Lane: 0, Hands: batch.HandsPerLane}
	var want int
	asActivity(t, func(a *activities.Activities) any { return a.FirstWant }, &want, in, batch.HandsPerLane)
	require.Equal(t, 1, want)
}

// Batches that are accepted within a second are to be told apart in a sequential
// queue.
func TestACallOfALaneHasTheAgeOfItsBatchToTheMillisecond(t *testing.T) {
	t.Parallel()
	before := time.Now().UnixMilli()
	run := activities.Run{Project: "p", Batch: openai.NewID(openai.PrefixBatch)}
	after := time.Now().UnixMilli()
	var ticket limit.Ticket
	in := activities.WorkInput{Run: run, Options: batch.DefaultOptions(), Hands: 1}
	asActivity(t, func(a *activities.Activities) any { return a.Ticket }, &ticket, in, int64(7))
	require.GreaterOrEqual(t, ticket.Accepted, before)
	require.LessOrEqual(t, ticket.Accepted, after)
	require.EqualValues(t, 7, ticket.Order)
	require.Equal(t, run.Batch, ticket.Flow)

	in.Run.Batch = "of another maker"
	asActivity(t, func(a *activities.Activities) any { return a.Ticket }, &ticket, in, int64(7))
	require.Zero(t, ticket.Accepted)
}
