package worker_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/deployment/v1"
	"go.temporal.io/api/taskqueue/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headrace/headrace/worker"
)

func TestOtherVersionsAreThoseOfWorkersThatAreStillThere(t *testing.T) {
	t.Parallel()
	now := time.Now()
	poller := func(build string, ago time.Duration) *taskqueue.PollerInfo {
		return &taskqueue.PollerInfo{
			LastAccessTime: timestamppb.New(now.Add(-ago)), DeploymentOptions: &deployment.WorkerDeploymentOptions{BuildId: build},
		}
	}
	pollers := []*taskqueue.PollerInfo{
		poller("2", 0), poller("3", time.Minute), poller("3", 0), poller("1", time.Second), poller("0", time.Hour), poller("", 0),
	}
	require.Equal(t, []string{"1", "3"}, worker.OtherBuilds(pollers, "2", now))
	require.Empty(t, worker.OtherBuilds(pollers[:1], "2", now))
}
