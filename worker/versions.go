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
	find := w.others
	if w.o.Versioning {
		find = w.idle
	}
	message, next := find(ctx)
	if message != "" && message != w.said {
		w.o.Logger.Warn(message, "build_id", w.o.BuildID, "next_step", next)
	}
	w.said = message
}

// others finds workers of other versions. Without Versioning Temporal gives every
// workflow to any of them.
func (w *watcher) others(ctx context.Context) (message, next string) {
	d, err := w.client.DescribeTaskQueue(ctx, workflows.TaskQueue, enums.TASK_QUEUE_TYPE_WORKFLOW)
	if err != nil {
		return w.said, ""
	}
	builds := otherBuilds(d.GetPollers(), w.o.BuildID, time.Now())
	if len(builds) == 0 {
		return "", ""
	}
	return "workers of other versions are at work: " + strings.Join(builds, ", "),
		"replace them soon, or set worker.versioning on all workers"
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

// idle finds out whether this version gets nothing to do, with Versioning.
func (w *watcher) idle(ctx context.Context) (message, next string) {
	d, err := w.client.WorkerDeploymentClient().GetHandle(w.o.Deployment).Describe(ctx, client.WorkerDeploymentDescribeOptions{})
	if _, unknown := errors.AsType[*serviceerror.NotFound](err); err != nil && !unknown {
		return w.said, ""
	}
	routing := d.Info.RoutingConfig
	next = fmt.Sprintf("temporal worker deployment set-current-version --namespace %s --deployment-name %s --build-id %s",
		w.o.Namespace, w.o.Deployment, w.o.BuildID)
	switch current, ramping := routing.CurrentVersion, routing.RampingVersion; {
	case current != nil && current.BuildID == w.o.BuildID, ramping != nil && ramping.BuildID == w.o.BuildID:
		return "", ""
	case current == nil:
		return "this worker gets nothing to do: no version of the deployment " + w.o.Deployment + " is current", next
	default:
		return "this worker gets nothing to do: the current version of the deployment " + w.o.Deployment + " is " + current.BuildID, next
	}
}
