package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/headrace/headrace/workflows"
)

// Times of looking at the other workers.
const (
	lookFirst   = 2 * time.Second
	lookEvery   = time.Minute
	lookTimeout = 5 * time.Second
	// pollsWithin is how long ago somebody may have asked for work who is still
	// there. A poll lasts a minute.
	pollsWithin = 90 * time.Second
)

// watcher tells the operator of workers that run another version, and of a version
// that gets no work. It never keeps a worker from working.
type watcher struct {
	o      Options
	client client.Client
	said   string
}

// watch looks now and then until ctx ends.
func (w *watcher) watch(ctx context.Context) {
	timer := time.NewTimer(lookFirst)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		w.look(ctx)
		timer.Reset(lookEvery)
	}
}

// look says what there is to say, unless it was said last.
func (w *watcher) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if w.o.Versioning {
		w.lookForWork(ctx)
	} else {
		w.lookForOthers(ctx)
	}
}

// lookForOthers finds workers of other versions. Without Versioning Temporal gives
// every workflow to any of them.
func (w *watcher) lookForOthers(ctx context.Context) {
	d, err := w.client.DescribeTaskQueue(ctx, workflows.TaskQueue, enums.TASK_QUEUE_TYPE_WORKFLOW)
	if err != nil {
		return
	}
	if builds := strings.Join(otherBuilds(d.GetPollers(), w.o.BuildID, time.Now()), ", "); w.isNews(builds) {
		w.o.Logger.Warn("workers of other versions are at work", "build_id", w.o.BuildID, "others", builds,
			"next_step", "replace them soon, or set worker.versioning on all workers")
	}
}

// isNews reports whether something is found that was not found last.
func (w *watcher) isNews(found string) bool {
	news := found != "" && found != w.said
	w.said = found
	return news
}

// otherBuilds are the build ids of pollers that are there and not of our build.
func otherBuilds(pollers []*taskqueue.PollerInfo, own string, now time.Time) []string {
	var builds []string
	for _, p := range pollers {
		build := p.GetDeploymentOptions().GetBuildId()
		if build != "" && build != own && now.Sub(p.GetLastAccessTime().AsTime()) < pollsWithin {
			builds = append(builds, build)
		}
	}
	slices.Sort(builds)
	return slices.Compact(builds)
}

// lookForWork finds out whether this version gets nothing to do, with Versioning.
func (w *watcher) lookForWork(ctx context.Context) {
	d, err := w.client.WorkerDeploymentClient().GetHandle(w.o.Deployment).Describe(ctx, client.WorkerDeploymentDescribeOptions{})
	if _, unknown := errors.AsType[*serviceerror.NotFound](err); err != nil && !unknown {
		return
	}
	current := "none"
	switch routing := d.Info.RoutingConfig; {
	case isBuild(routing.CurrentVersion, w.o.BuildID), isBuild(routing.RampingVersion, w.o.BuildID):
		current = ""
	case routing.CurrentVersion != nil:
		current = routing.CurrentVersion.BuildID
	}
	if w.isNews(current) {
		w.o.Logger.Warn("this worker gets nothing to do until its version is current",
			"deployment", w.o.Deployment, "build_id", w.o.BuildID, "current", current,
			"next_step", fmt.Sprintf("temporal worker deployment set-current-version --namespace %s --deployment-name %s --build-id %s",
				w.o.Namespace, w.o.Deployment, w.o.BuildID))
	}
}

func isBuild(v *worker.WorkerDeploymentVersion, build string) bool {
	return v != nil && v.BuildID == build
}
