package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/runner"
	"github.com/headrace/headrace/internal/task"
)

// beginLimit is how long Begin waits for tasks. It keeps a decision from
// completing and so stays well below workflows.TaskTimeout.
const beginLimit = 3 * time.Second

// Begin begins to run tasks as part of a decision, which costs Temporal next to
// nothing. What is not done after three seconds goes on in this process, for Carry
// to wait for. Begin always succeeds: what it could not begin is unfinished and
// nowhere.
func (a *Activities) Begin(ctx context.Context, w task.Work) (task.Report, error) {
	lost := task.Report{Unfinished: true}
	run, err := a.Runner.Begin(ctx, w)
	if err != nil {
		return lost, nil //nolint:nilerr // Carry will meet the error again, and can wait
	}
	defer run.Leave()
	timer := time.NewTimer(beginLimit)
	defer timer.Stop()
	select {
	case <-run.Done():
		return run.Report(), nil
	case <-timer.C:
	case <-ctx.Done():
	}
	return a.unfinished(), nil
}

// Heartbeats of Carry. Each is a write to Temporal's database, so that a process
// which waits for many groups speaks less often for each.
const (
	carryBeats       = 4 // per timeout
	shortestTimeout  = 6 * time.Second
	longestTimeout   = time.Minute
	groupsPerTimeout = 100 // to which the shortest applies
)

// unfinished reports that tasks go on here.
func (a *Activities) unfinished() task.Report {
	timeout := shortestTimeout * time.Duration(a.Runner.Busy()) / groupsPerTimeout
	timeout = min(max(timeout.Round(time.Second), shortestTimeout), longestTimeout)
	return task.Report{Unfinished: true, Host: a.Host, Heartbeat: batch.Duration(timeout)}
}

// Carry runs tasks, or waits for those that are under way in this process. When
// it is cancelled, it returns and they go on: whoever cancels it calls it again.
//
// When its worker stops, it returns an error that makes Temporal start it
// elsewhere at once. There, as after a crash, only calls are made whose results
// are missing.
func (a *Activities) Carry(ctx context.Context, w task.Work) (task.Report, error) {
	w.Earlier = append(w.Earlier, told(ctx)...)
	run, err := a.Runner.Begin(ctx, w)
	if err != nil {
		return task.Report{}, err
	}
	defer run.Leave()
	beating, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	p := newPulse(ctx, carryBeats, func() any { return run.Progress() })
	go p.beat(beating)
	run.Guard(p.await)
	defer run.Guard(nil)
	return a.await(ctx, run, p)
}

// told is what the activity's attempt before told of its tasks.
func told(ctx context.Context) []task.Again {
	var progress []task.Progress
	if !activity.HasHeartbeatDetails(ctx) || activity.GetHeartbeatDetails(ctx, &progress) != nil {
		return nil
	}
	return task.Resume(progress)
}

func (a *Activities) await(ctx context.Context, run *runner.Run, p *pulse) (task.Report, error) {
	stopping := activity.GetWorkerStopChannel(ctx)
	select {
	case <-run.Done():
	case <-p.lost:
		return task.Report{}, errLost
	case <-p.cancelled:
		return a.unfinished(), nil
	case <-ctx.Done():
		return a.unfinished(), nil
	case <-stopping:
		a.Runner.Stop()
		grace := time.NewTimer(a.StopGrace)
		defer grace.Stop()
		select {
		case <-run.Done():
		case <-grace.C:
			return task.Report{}, errStopping
		}
	}
	report := run.Report()
	if report.Unfinished { // the process stops
		return task.Report{}, errStopping
	}
	return report, nil
}

// errLost ends an attempt that is over anyway.
var errLost = errors.New("the attempt is over")
