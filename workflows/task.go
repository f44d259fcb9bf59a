package workflows

import (
	"fmt"
	"slices"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/headrace/headrace/internal/task"
)

// TaskInput is the input of Task: a group of tasks that were accepted together.
type TaskInput struct {
	Project string      `json:"project"`
	Group   string      `json:"group"`
	Created task.Millis `json:"created"`
	// Tasks are those of a group of at most task.PartSize, that is, one part.
	Tasks []task.Spec `json:"tasks,omitempty"`
	// Stored is the number of tasks of a group that is in the store.
	Stored int `json:"stored,omitempty"`
	// Parts is where an earlier run of the same group left off.
	Parts []TaskPart `json:"parts,omitempty"`
	// Failed and Cancelled count the tasks that have ended so in earlier runs.
	Failed    int `json:"failed,omitempty"`
	Cancelled int `json:"cancelled,omitempty"`
}

// TaskPart is what is left of one part of a group.
type TaskPart struct {
	Number  int          `json:"number"`
	Waiting []task.Again `json:"waiting"`
}

// Task carries out a group of tasks. It ends as completed if all of them have
// an answer, as failed if one has none, and otherwise as cancelled if one was.
func Task(ctx workflow.Context, in TaskInput) error {
	g := newGroupRun(ctx, in)
	g.listen(ctx)
	return g.run()
}

// groupRun is one run of Task.
type groupRun struct {
	ctx      workflow.Context // goes on when the workflow is cancelled
	in       TaskInput
	parts    []*partRun
	rollover bool // this run has become long: continue as new
	// published is set once the memo names tasks that wait.
	published bool
}

func newGroupRun(ctx workflow.Context, in TaskInput) *groupRun {
	disconnected, _ := workflow.NewDisconnectedContext(ctx)
	g := &groupRun{ctx: disconnected, in: in, published: in.Parts != nil}
	if in.Parts != nil {
		for _, left := range in.Parts {
			g.parts = append(g.parts, &partRun{group: g, number: left.Number, waiting: left.Waiting, resumed: true})
		}
		return g
	}
	for number := range max((max(in.Stored, len(in.Tasks))+task.PartSize-1)/task.PartSize, 1) {
		g.parts = append(g.parts, &partRun{group: g, number: number})
	}
	return g
}

// listen begins to take cancellations, of single tasks and of all.
func (g *groupRun) listen(ctx workflow.Context) {
	workflow.Go(ctx, func(ctx workflow.Context) {
		ctx.Done().Receive(ctx, nil)
		g.cancel(nil)
	})
	workflow.Go(g.ctx, func(ctx workflow.Context) {
		for {
			var numbers []int
			workflow.GetSignalChannel(ctx, SignalCancel).Receive(ctx, &numbers)
			g.cancel(numbers)
		}
	})
}

// cancel cancels tasks, all of them if none is named.
func (g *groupRun) cancel(numbers []int) {
	for _, p := range g.parts {
		first := p.number * task.PartSize
		all := g.numbers(p.number)
		for _, n := range numbers {
			if n >= first && n < first+task.PartSize {
				p.cancelled = append(p.cancelled, n)
			}
		}
		if numbers == nil {
			p.cancelled = all
		}
		if len(p.cancelled) > 0 {
			p.interrupt()
		}
	}
}

// numbers are those of a part's tasks.
func (g *groupRun) numbers(part int) []int {
	first := part * task.PartSize
	last := min(first+task.PartSize, max(g.in.Stored, len(g.in.Tasks)))
	all := make([]int, 0, last-first)
	for n := first; n < last; n++ {
		all = append(all, n)
	}
	return all
}

// run is the life of a group.
func (g *groupRun) run() error {
	parts := workflow.NewWaitGroup(g.ctx)
	var failed error
	for _, p := range g.parts {
		parts.Add(1)
		workflow.Go(g.ctx, func(ctx workflow.Context) {
			defer parts.Done()
			if err := p.run(ctx); err != nil {
				failed = err
			}
		})
	}
	parts.Wait(g.ctx)
	switch {
	case failed != nil:
		return failed
	case g.rollover:
		return g.continueAsNew()
	case g.in.Failed > 0:
		return temporal.NewNonRetryableApplicationError(fmt.Sprintf("failed tasks: %d", g.in.Failed), errorTasks, nil)
	case g.in.Cancelled > 0:
		return temporal.NewCanceledError()
	}
	return nil
}

// errorTasks is the type of the error with which a group ends that has a failed
// task.
const errorTasks = "TasksFailed"

// continueAsNew goes on in a new run, with short history. All that is left waits.
func (g *groupRun) continueAsNew() error {
	next := g.in
	next.Parts = []TaskPart{}
	for _, p := range g.parts {
		if len(p.waiting) > 0 {
			next.Parts = append(next.Parts, TaskPart{Number: p.number, Waiting: p.waiting})
		}
	}
	if len(next.Parts) == 0 {
		g.rollover = false
		return g.run()
	}
	return workflow.NewContinueAsNewError(g.ctx, NameTask, next)
}

// publish lets everybody see which tasks wait, with or without a worker at hand.
// Most groups have none and publish nothing.
func (g *groupRun) publish() error {
	var waiting []task.Again
	for _, p := range g.parts {
		waiting = append(waiting, p.waiting...)
	}
	if len(waiting) == 0 && !g.published {
		return nil
	}
	g.published = true
	return workflow.UpsertMemo(g.ctx, map[string]any{MemoWaiting: brief(waiting)})
}

// brief bounds what is published of tasks that wait: with many, the last attempt
// of each has to do.
func brief(waiting []task.Again) []task.Again {
	const few = 16
	out := slices.Clone(waiting)
	for i := range out {
		if n := len(out[i].Attempts); n > 1 && len(out) > few {
			out[i].Attempts = out[i].Attempts[n-1:]
		}
	}
	return out
}
