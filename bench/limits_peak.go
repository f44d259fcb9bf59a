package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Sizes of the measure peak.
const (
	peakWorkers    = 4 // with that of dev
	peakCalls      = 50
	peakLatency    = "lognormal:300ms,0.5"
	longestAbsence = 5 * time.Second // of a worker that was killed
	sampleEvery    = 20 * time.Millisecond
	tasksEvery     = 500 * time.Millisecond
	tasksAtOnce    = 10
	// peakHands are many more than permits, in so many lanes that each worker has
	// some, whoever dies.
	peakHands = 1024
)

// peak measures whether the limit of concurrency holds while workers are killed
// and come.
func (b *bench) peak(ctx context.Context) ([]row, error) {
	span := time.Duration(b.size(60, 6)) * time.Second
	kills, lines := b.size(6, 2), b.size(8_000, 800)
	up, err := b.startUpstream(ctx, peakLatency)
	if err != nil {
		return nil, err
	}
	defer up.kill()
	if err := up.control(ctx, `{"persistent":true}`); err != nil {
		return nil, err
	}
	c, err := b.newCluster(ctx, repeated(up.url, peakWorkers)...)
	if err != nil {
		return nil, err
	}
	defer c.close()
	if err := c.set(ctx, map[string]any{"concurrency": peakCalls}); err != nil {
		return nil, err
	}
	input, err := b.input(lines)
	if err != nil {
		return nil, err
	}
	id, err := c.submitAll(ctx, input, peakHands)
	if err != nil {
		return nil, err
	}
	if _, err := up.busy(ctx, peakCalls); err != nil {
		return nil, err
	}
	r := riot{cluster: c, up: up, random: rand.New(rand.NewPCG(1, 2))} // the same in every run
	if err := r.run(ctx, span, kills); err != nil {
		return nil, err
	}
	if err := errors.Join(c.flawless(ctx, id), c.completed(ctx, r.tasks)); err != nil {
		return nil, err
	}
	stats, err := up.stats(ctx)
	if err != nil {
		return nil, err
	}
	b.say("  peak %d of %d; while workers were killed, %.1f in flight on average; %d lines and %d tasks took %d calls",
		stats.PeakInFlight, peakCalls, r.mean(), lines, len(r.tasks), stats.Calls)
	name := fmt.Sprintf("%d workers, %d killed and replaced in %s, queue of %d calls at once: ", peakWorkers, kills, span, peakCalls)
	return []row{
		single(name+"peak in flight at the provider", atMost(peakCalls), whole, float64(stats.PeakInFlight), ""),
		single(name+"in flight on average meanwhile, as part of the limit", bound{}, percent, r.mean()/peakCalls, ""),
	}, c.alive()
}

// event is the death of a worker, or the start of one.
type event struct {
	at   time.Duration
	kill bool
}

// schedule has a death in each part of a span, at a random time, and a start some
// seconds after each.
func schedule(random *rand.Rand, span time.Duration, kills int) []event {
	part := span / time.Duration(kills)
	var events []event
	for i := range kills {
		at := time.Duration(i)*part + time.Duration(random.Int64N(int64(part)))
		absence := time.Duration(random.Int64N(int64(min(longestAbsence, part))))
		events = append(events, event{at, true}, event{at + absence, false})
	}
	slices.SortFunc(events, func(a, b event) int { return int(a.at - b.at) })
	return events
}

// riot is a time in which workers die and come, and calls move between them.
type riot struct {
	*cluster

	up     *upstream
	random *rand.Rand
	tasks  []string // ids
	seen   int64    // calls in flight, summed over samples
	looks  int64
}

// mean is how many calls were in flight on average.
func (r *riot) mean() float64 { return float64(r.seen) / float64(max(r.looks, 1)) }

// run kills workers and starts others for the time of a span. Tasks are posted
// meanwhile: they go before the batch and begin in any worker, so that permits move.
func (r *riot) run(ctx context.Context, span time.Duration, kills int) error {
	events := schedule(r.random, span, kills)
	var posted time.Time
	for begun := time.Now(); time.Since(begun) < span; {
		if len(events) > 0 && time.Since(begun) >= events[0].at {
			if err := r.happen(ctx, events[0]); err != nil {
				return err
			}
			events = events[1:]
		}
		if time.Since(posted) >= tasksEvery {
			posted = time.Now()
			if err := r.postTasks(ctx); err != nil {
				return err
			}
		}
		stats, err := r.up.stats(ctx)
		if err != nil {
			return err
		}
		r.seen, r.looks = r.seen+stats.InFlight, r.looks+1
		if err := pauseFor(ctx, sampleEvery); err != nil {
			return err
		}
	}
	return nil
}

// happen kills a worker or starts one.
func (r *riot) happen(ctx context.Context, e event) error {
	if !e.kill {
		return r.addWorker(ctx, r.up.url)
	}
	o, err := r.client.Queue(ctx, queueName, "")
	if err != nil {
		return err
	}
	i := r.random.IntN(len(r.workers))
	calls := int64(0)
	for _, w := range o.Workers {
		if strings.HasSuffix(w.Name, fmt.Sprintf(":%d", r.workers[i].cmd.Process.Pid)) {
			calls = w.InFlight.All()
		}
	}
	r.killWorker(i)
	r.bench.say("  %s: a worker is killed that had said of %d calls", e.at.Round(time.Millisecond), calls)
	return nil
}

// postTasks posts some tasks at once.
func (r *riot) postTasks(ctx context.Context) error {
	bodies := make([]string, tasksAtOnce)
	for i := range bodies {
		bodies[i] = queued(newTask(len(r.tasks) + i))
	}
	p, err := r.postArray(ctx, bodies)
	r.tasks = append(r.tasks, p.ids...)
	return err
}

// pauseFor waits, unless ctx ends before.
func pauseFor(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
