package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/dispatch"
	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/store"
)

// The first chunks of a batch are its largest, and a lane does not know their
// size before it has opened one. One that took several would be busy with them
// long after the others have run out of work.
func TestALaneBeginsWithOneChunk(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	env := (&testsuite.WorkflowTestSuite{}).NewTestActivityEnvironment()
	a := &activities.Activities{Store: s, Dispatcher: dispatch.New(limit.New(limit.Options{}), dispatch.Route{Name: "provider"})}
	env.RegisterActivity(a.FirstWant)
	in := activities.WorkInput{Options: batch.DefaultOptions(), Lane: 0, Hands: batch.HandsPerLane}

	value, err := env.ExecuteActivity(a.FirstWant, in, batch.HandsPerLane)
	require.NoError(t, err)
	var want int
	require.NoError(t, value.Get(&want))
	require.Equal(t, 1, want)
}
