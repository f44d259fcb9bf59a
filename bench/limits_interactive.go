package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/headrace/headrace/internal/simulator"
)

// Sizes of the measure interactive.
const (
	interactiveWorkers = 2
	interactiveCalls   = 50
	interactiveLatency = 200 * time.Millisecond
	interactiveEvery   = 700 * time.Millisecond // between two posts
)

// interactive measures how long somebody who waits has to wait for a batch that
// fills the queue.
func (b *bench) interactive(ctx context.Context) ([]row, error) {
	sim, doors, shut, err := openDoors(ctx, simulator.Options{Latency: simulator.Constant(interactiveLatency)}, interactiveWorkers)
	if err != nil {
		return nil, err
	}
	defer shut()
	c, err := b.newCluster(ctx, urls(doors)...)
	if err != nil {
		return nil, err
	}
	defer c.close()
	if err := c.set(ctx, map[string]any{"concurrency": interactiveCalls}); err != nil {
		return nil, err
	}
	lines := b.size(100_000, 10_000)
	input, err := b.input(lines)
	if err != nil {
		return nil, err
	}
	const hands = 512
	if _, err := c.submitAll(ctx, input, hands); err != nil {
		return nil, err
	}
	if err := c.untilAllCall(ctx); err != nil {
		return nil, err
	}
	posts := b.size(20, 4)
	waits, err := c.interrupt(ctx, doors, posts)
	if err != nil {
		return nil, err
	}
	if peak := sim.Stats().PeakInFlight; peak > interactiveCalls {
		return nil, fmt.Errorf("%d calls were in flight, allowed are %d", peak, interactiveCalls)
	}
	b.say("  a task amid a batch: POST to arrival %s", spread(waits))
	name := fmt.Sprintf("one task at a time amid a batch of %d × %s that fills %d places, %d workers: POST to arrival at the provider, ",
		lines, interactiveLatency, interactiveCalls, interactiveWorkers)
	target := atMost((interactiveLatency + 100*time.Millisecond).Seconds())
	return []row{
		single(fmt.Sprintf("%smedian of %d", name, posts), target, milliseconds, median(waits), ""),
		single(fmt.Sprintf("%sworst of %d", name, posts), target, milliseconds, quantile(waits, 1), ""),
	}, c.alive()
}

// interrupt posts tasks one after the other, and returns the seconds until each
// arrived at a door.
func (c *cluster) interrupt(ctx context.Context, doors []*door, posts int) ([]float64, error) {
	links, hangUp, err := c.dial(ctx, 1)
	if err != nil {
		return nil, err
	}
	defer hangUp()
	var waits []float64
	for i := range posts {
		request := c.request(http.MethodPost, pathTasks, queued(newTask(i)))
		begun := time.Now()
		if _, err := links[0].ask(request, http.StatusAccepted); err != nil {
			return nil, err
		}
		arrived, err := arrival(ctx, doors, i, begun)
		if err != nil {
			return nil, err
		}
		waits = append(waits, arrived.Sub(begun).Seconds())
		if err := pauseFor(ctx, interactiveEvery); err != nil {
			return nil, err
		}
	}
	return waits, nil
}

// queued is the body of a task, in the queue that is measured.
func queued(task string) string { return fmt.Sprintf(`{"queue":%q,%s`, queueName, task[1:]) }

// arrival waits until the i-th task, posted at a time, has come through a door.
func arrival(ctx context.Context, doors []*door, i int, posted time.Time) (at time.Time, err error) {
	text := fmt.Appendf(nil, `"Task %d"`, i)
	err = until(ctx, "the task arrives", func() (found bool, err error) {
		for _, d := range doors {
			if at, found = d.find(posted, func(v *visit) bool { return bytes.Contains(v.body, text) }); found {
				return true, nil
			}
		}
		return false, nil
	})
	return at, err
}
