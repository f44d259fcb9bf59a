package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	sdkconverter "go.temporal.io/sdk/converter"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/internal/ledger"
	"github.com/headrace/headrace/internal/openai"
)

// An activity that goes down with its worker is started again once its
// heartbeats are missed. Without them it would wait for its limit, which for a
// large batch has to be hours.
func TestEveryActivityIsMissedSoonAfterItsWorkerHasDied(t *testing.T) {
	t.Parallel()
	const soon = 10 * time.Second
	seen := map[string]bool{}
	listen := func(b *testBundle) {
		b.env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ sdkconverter.EncodedValues) {
			seen[info.ActivityType.Name] = true
			require.Positive(t, info.HeartbeatTimeout, info.ActivityType.Name)
			require.LessOrEqual(t, info.HeartbeatTimeout, soon, info.ActivityType.Name)
		})
	}
	whole := setup(t)
	listen(whole)
	whole.plan(0, activities.PlanResult{Requests: 10, Chunks: 1})
	whole.lane(10*time.Second, nil)
	whole.at(time.Second, func() { whole.lease(ledger.Request{Lane: 0, Attempt: 1, Want: 1}, false) })
	whole.at(2*time.Second, func() {
		whole.lease(ledger.Request{Lane: 0, Attempt: 1, Leaving: true, Commits: []ledger.Commit{commit(0, 10, 0)}}, false)
	})
	whole.requireEnd(openai.Completed)

	long := setup(t)
	listen(long)
	long.plan(0, activities.PlanResult{Requests: 10, Chunks: 1})
	long.lane(10*time.Second, nil)
	long.at(time.Second, func() {
		long.env.SetContinueAsNewSuggested(true)
		long.lease(ledger.Request{Lane: 0, Attempt: 1, Want: 1}, false)
	})
	long.run()
	for _, name := range []string{
		activities.NamePlan, activities.NameWork, activities.NameSaveCommits, activities.NameFinish, activities.NameTidy,
	} {
		require.True(t, seen[name], name)
	}
}
