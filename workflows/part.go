package workflows

import (
	"errors"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/internal/task"
)

// partRun is what Task does for one part of its group: it has the tasks run that
// are due, and waits for those that are not.
type partRun struct {
	group   *groupRun
	number  int
	resumed bool // by an earlier run of the workflow, which has had the tasks run

	waiting   []task.Again        // handed back, until their time
	cancelled []int               // and not yet told to a worker
	host      string              // where the tasks are under way, "" for nowhere known
	heartbeat time.Duration       // of Carry, 0 for the usual one
	wake      workflow.CancelFunc // ends what interrupt may end, nil for nothing
}

// run has every task of the part run until it has ended. It returns early, with
// tasks that wait, when the workflow is to continue as new.
func (p *partRun) run(ctx workflow.Context) error {
	if !p.resumed {
		if err := p.do(ctx, p.group.numbers(p.number), nil, true); err != nil {
			return err
		}
	}
	for len(p.waiting) > 0 {
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			p.group.rollover = true
		}
		if p.group.rollover {
			return nil
		}
		due, earlier := p.due(ctx)
		if len(due) == 0 {
			if err := p.sleep(ctx); err != nil {
				return err
			}
			continue
		}
		if err := p.do(ctx, due, earlier, true); err != nil {
			return err
		}
	}
	return nil
}

// due takes the tasks whose time has come, or that are cancelled.
func (p *partRun) due(ctx workflow.Context) (numbers []int, earlier []task.Again) {
	now := task.MillisOf(workflow.Now(ctx))
	var rest []task.Again
	for _, again := range p.waiting {
		if again.At <= now || slices.Contains(p.cancelled, again.N) {
			numbers, earlier = append(numbers, again.N), append(earlier, again)
		} else {
			rest = append(rest, again)
		}
	}
	p.waiting = rest
	return numbers, earlier
}

// sleep waits until the first task is due, or until there is something to
// cancel.
func (p *partRun) sleep(ctx workflow.Context) error {
	first := slices.MinFunc(p.waiting, func(a, b task.Again) int { return int(a.At - b.At) })
	timer, wake := workflow.WithCancel(ctx)
	defer wake()
	p.wake = wake
	defer func() { p.wake = nil }()
	p.cancelled = nil // those who wait were looked at; the others have ended
	err := workflow.Sleep(timer, first.At.Time().Sub(workflow.Now(ctx)))
	if _, woken := errors.AsType[*temporal.CanceledError](err); woken {
		return nil
	}
	return err
}

// interrupt makes the part look at what is cancelled.
func (p *partRun) interrupt() {
	if p.wake != nil {
		p.wake()
	}
}

// do has tasks run until each has ended or waits.
func (p *partRun) do(ctx workflow.Context, numbers []int, earlier []task.Again, fresh bool) error {
	for {
		report, err := p.once(ctx, numbers, earlier, fresh)
		if err != nil {
			return err
		}
		fresh = false
		p.host = report.Host
		if report.Heartbeat > 0 {
			p.heartbeat = time.Duration(report.Heartbeat)
		}
		if len(report.Earlier) > 0 {
			earlier = report.Earlier
		}
		if !report.Unfinished {
			p.group.in.Failed += report.Failed
			p.group.in.Cancelled += report.Cancelled
			p.waiting = append(p.waiting, report.Again...)
			slices.SortFunc(p.waiting, func(a, b task.Again) int { return a.N - b.N })
			break
		}
	}
	return p.group.publish()
}

// once gives tasks to a worker: first as part of this decision, which is all
// that most of them need; those that take longer are waited for where they are
// under way; and if nobody listens there, anybody takes them over.
func (p *partRun) once(ctx workflow.Context, numbers []int, earlier []task.Again, fresh bool) (partReport, error) {
	work := p.work(numbers, earlier)
	if fresh && len(work.Items) > 0 {
		var report partReport
		err := workflow.ExecuteLocalActivity(workflow.WithLocalActivityOptions(ctx, beginOptions), activities.NameBegin, work).Get(ctx, &report)
		if err != nil {
			report = partReport{Report: task.Report{Unfinished: true}}
		}
		return report, nil
	}
	options := carryOptions
	if p.host != "" {
		options = hostOptions
		options.TaskQueue = p.host
	}
	if p.heartbeat > 0 {
		options.HeartbeatTimeout = p.heartbeat
	}
	carrying, wake := workflow.WithCancel(workflow.WithActivityOptions(ctx, options))
	defer wake()
	p.wake = wake
	defer func() { p.wake = nil }()
	var report partReport
	err := workflow.ExecuteActivity(carrying, activities.NameCarry, work).Get(ctx, &report)
	switch {
	case err == nil:
		return report, nil
	case temporal.IsCanceledError(err):
		// Cancelled before a worker had taken it: it is sent again, with what is
		// to be cancelled.
		return partReport{Report: task.Report{Unfinished: true, Host: p.host}}, nil
	case p.host != "":
		return partReport{Report: task.Report{Unfinished: true}, Earlier: lastWords(err)}, nil
	}
	return report, err
}

// partReport is a report, and what a worker that has died told last.
type partReport struct {
	task.Report

	Earlier []task.Again `json:"-"`
}

// lastWords is what the heartbeats told of an activity that timed out.
func lastWords(err error) []task.Again {
	var timeout *temporal.TimeoutError
	var progress []task.Progress
	if errors.As(err, &timeout) && timeout.HasLastHeartbeatDetails() && timeout.LastHeartbeatDetails(&progress) == nil {
		return task.Resume(progress)
	}
	return nil
}

// work is what a worker is told of tasks.
func (p *partRun) work(numbers []int, earlier []task.Again) task.Work {
	g := p.group
	w := task.Work{
		Part: task.Part{Project: g.in.Project, Group: g.in.Group, Number: p.number}, Created: g.in.Created,
		Earlier: earlier, Cancel: p.cancelled,
	}
	p.cancelled = nil
	if g.in.Stored > 0 {
		if len(numbers) < len(g.numbers(p.number)) {
			w.Only = numbers
		}
		return w
	}
	for _, n := range numbers {
		w.Items = append(w.Items, task.Item{N: n, Spec: g.in.Tasks[n]})
	}
	return w
}
