package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
)

// heed takes commands, in the order in which they came.
func (b *batchRun) heed(ctx workflow.Context) {
	for {
		var c batch.Command
		commands := workflow.GetSignalChannel(ctx, SignalCommand)
		commands.Receive(ctx, &c)
		b.obey(c)
		b.obeyWaiting()
		b.steer()
	}
}

// obeyWaiting obeys the commands that have come and were not looked at.
func (b *batchRun) obeyWaiting() {
	commands := workflow.GetSignalChannel(b.ctx, SignalCommand)
	for {
		var c batch.Command
		if !commands.ReceiveAsync(&c) {
			return
		}
		b.obey(c)
	}
}

// obey notes what a command asks for. A batch that ends goes its way.
func (b *batchRun) obey(c batch.Command) {
	b.steered = true
	b.grow()
	if b.why != notEnding || b.object.Status != openai.Validating && b.object.Status != openai.InProgress {
		return
	}
	b.object = b.object.Obey(c, *b.now())
	if c.ExpiresAt != nil {
		b.rearm()
	}
}

// steer makes true what commands have asked for: everybody sees it, hands are dealt
// anew, and lanes that run hear of it.
func (b *batchRun) steer() {
	b.logged(b.publish())
	if b.ledger == nil || b.why != notEnding {
		return
	}
	b.deal()
	b.nudge(b.ledger.Hosts(true))
}

// redeal is for batches that have been steered, or of which a lane's worker stops: it
// passes on the hands that lanes have given up. Others open their lanes at once and wait for all.
func (b *batchRun) redeal() {
	if b.steered {
		b.deal()
		b.nudge(b.ledger.Hosts(false))
	}
}

// nudgeTries bounds how often a host is nudged that does not listen. It is longer
// than Temporal takes to miss one that has died; lanes that begin anew ask anyway.
const nudgeTries = 5

// nudge makes the lanes on each host ask what holds for them.
func (b *batchRun) nudge(hosts []string) {
	for _, host := range hosts {
		if b.nudging[host]++; b.nudging[host] > 1 {
			continue // whoever is at it goes on
		}
		workflow.Go(b.ctx, func(ctx workflow.Context) {
			for tries := nudgeTries; b.nudging[host] > 0 && tries > 0; {
				b.nudging[host] = 1
				o := nudgeOptions
				o.TaskQueue = host
				in := activities.NudgeInput{Subject: b.object.ID}
				if err := b.do(o, activities.NameNudge, in).Get(ctx, nil); err != nil {
					tries--
					continue
				}
				tries = nudgeTries
				b.nudging[host]--
			}
			delete(b.nudging, host)
		})
	}
}

// watchDeadline ends the batch when its window closes, which a command may move.
func (b *batchRun) watchDeadline(ctx workflow.Context) {
	for {
		timer, rearm := workflow.WithCancel(ctx)
		b.rearm = rearm
		if workflow.Sleep(timer, b.untilExpiry()) == nil {
			b.end(expired)
			return
		}
	}
}
