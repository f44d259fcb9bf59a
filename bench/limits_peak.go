package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Sizes of the measure peak.
const (
	peakWorkers    = 4 // with that of dev
	peakCalls      = 50
	peakLatency    = "lognormal:300ms,0.5"
	longestAbsence = 5 * time.Second // of a worker that was killed
	sampleEvery    = 20 * time.Millisecond
)

// peak measures whether the limit of concurrency holds while workers are killed
// and come.
func (b *bench) peak(ctx context.Context) ([]row, error) {
	span := time.Duration(b.size(60, 6)) * time.Second
	kills, lines := b.size(6, 2), b.size(10_000, 1_000)
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
	// Many more hands than permits, and more lanes than workers, so that each
	// worker has some whoever dies.
	const hands = 512
	id, err := c.submitAll(ctx, input, hands)
	if err != nil {
		return nil, err
	}
	if _, err := up.busy(ctx, peakCalls); err != nil {
		return nil, err
	}
	mean, err := b.killAndAdd(ctx, c, up, span, kills)
	if err != nil {
		return nil, err
	}
	if err := c.flawless(ctx, id); err != nil {
		return nil, err
	}
	stats, err := up.stats(ctx)
	if err != nil {
		return nil, err
	}
	b.say("  peak %d of %d; while workers were killed, %.1f in flight on average; %d calls of %d were repeated",
		stats.PeakInFlight, peakCalls, mean, stats.DuplicateCalls, lines)
	name := fmt.Sprintf("%d workers, %d killed and replaced in %s, queue of %d calls at once: ", peakWorkers, kills, span, peakCalls)
	return []row{
		single(name+"peak in flight at the provider", atMost(peakCalls), whole, float64(stats.PeakInFlight), ""),
		single(name+"in flight on average meanwhile, as part of the limit", bound{}, percent, mean/peakCalls, ""),
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

// killAndAdd kills workers and starts others for the time of a span, and returns
// how many calls were in flight on average.
func (b *bench) killAndAdd(ctx context.Context, c *cluster, up *upstream, span time.Duration, kills int) (float64, error) {
	random := rand.New(rand.NewPCG(1, 2)) // the same in every run
	events := schedule(random, span, kills)
	sum, samples := 0.0, 0
	for begun := time.Now(); time.Since(begun) < span; {
		if len(events) > 0 && time.Since(begun) >= events[0].at {
			kill := events[0].kill
			events = events[1:]
			if kill {
				b.say("  %s: a worker is killed", time.Since(begun).Round(time.Millisecond))
				c.killWorker(random.IntN(len(c.workers)))
			} else if err := c.addWorker(ctx, up.url); err != nil {
				return 0, err
			}
		}
		stats, err := up.stats(ctx)
		if err != nil {
			return 0, err
		}
		sum, samples = sum+float64(stats.InFlight), samples+1
		if err := pauseFor(ctx, sampleEvery); err != nil {
			return 0, err
		}
	}
	return sum / float64(max(samples, 1)), nil
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
