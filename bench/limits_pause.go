package main

import (
	"context"
	"fmt"
	"time"
)

// Sizes of the measure pause.
const (
	pauseWorkers = 2
	pauseCalls   = 50
	pauseLatency = "lognormal:200ms,0.5"
	// stillFor is how long nothing arrives before it is believed that nothing will.
	stillFor = 2 * time.Second
)

// brake is something that stops calls from beginning, and lets them again.
type brake struct {
	name string
	set  func(ctx context.Context, c *cluster, batch string, on bool) error
}

// brakes are what is measured.
func brakes() []brake {
	return []brake{
		{"queue", func(ctx context.Context, c *cluster, _ string, on bool) error {
			return c.set(ctx, map[string]any{"paused": on})
		}},
		{"batch", func(ctx context.Context, c *cluster, batch string, on bool) error {
			if on {
				return c.command(ctx, batch, "pause", "")
			}
			return c.command(ctx, batch, "resume", "")
		}},
	}
}

// pause measures how soon calls stop and go on when they are told to.
func (b *bench) pause(ctx context.Context) ([]row, error) {
	var rows []row
	for _, k := range brakes() {
		stopped, resumed, err := b.pauseWith(ctx, k)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.name, err)
		}
		b.say("  %s paused: last arrival %s; resumed: first arrival %s", k.name, spread(stopped), spread(resumed))
		name := fmt.Sprintf("%s with %d calls in flight, %d workers, %d times: ", k.name, pauseCalls, pauseWorkers, len(stopped))
		worst := func(v []float64) string { return " (worst " + milliseconds(quantile(v, 1)) + ")" }
		target := atMost(1)
		for _, r := range []struct {
			what   string
			values []float64
		}{{"paused, to the last arrival", stopped}, {"resumed, to the first arrival", resumed}} {
			line := single(name+r.what, target, milliseconds, median(r.values), worst(r.values))
			line.verdict = target.judge(quantile(r.values, 1))
			rows = append(rows, line)
		}
	}
	return rows, nil
}

// pauseWith stops and resumes a batch again and again, and returns how long calls
// went on to arrive, and did not.
func (b *bench) pauseWith(ctx context.Context, k brake) (stopped, resumed []float64, err error) {
	up, err := b.startUpstream(ctx, pauseLatency)
	if err != nil {
		return nil, nil, err
	}
	defer up.kill()
	c, err := b.newCluster(ctx, repeated(up.url, pauseWorkers)...)
	if err != nil {
		return nil, nil, err
	}
	defer c.close()
	if err := c.set(ctx, map[string]any{"concurrency": pauseCalls}); err != nil {
		return nil, nil, err
	}
	input, err := b.input(b.size(20_000, 10_000))
	if err != nil {
		return nil, nil, err
	}
	const hands = 512
	id, err := c.submitAll(ctx, input, hands)
	if err != nil {
		return nil, nil, err
	}
	for range b.size(5, 2) {
		stop, start, err := c.brakeOnce(ctx, up, func(on bool) error { return k.set(ctx, c, id, on) })
		if err != nil {
			return nil, nil, err
		}
		stopped, resumed = append(stopped, stop.Seconds()), append(resumed, start.Seconds())
	}
	return stopped, resumed, c.alive()
}

// brakeOnce stops calls and lets them begin again.
func (c *cluster) brakeOnce(ctx context.Context, up *upstream, set func(on bool) error) (stopped, resumed time.Duration, err error) {
	if err := c.untilAllCall(ctx); err != nil {
		return 0, 0, err
	}
	if _, err := up.busy(ctx, pauseCalls); err != nil {
		return 0, 0, err
	}
	begun := time.Now()
	if err := set(true); err != nil {
		return 0, 0, err
	}
	last, err := up.still(ctx)
	if err != nil {
		return 0, 0, err
	}
	if err := up.forget(ctx); err != nil {
		return 0, 0, err
	}
	again := time.Now()
	if err := set(false); err != nil {
		return 0, 0, err
	}
	first, err := up.firstArrival(ctx)
	return max(last.Sub(begun), 0), first.Sub(again), err
}

// still waits until nothing has arrived for a while and nothing is in flight, and
// returns when something arrived last.
func (u *upstream) still(ctx context.Context) (last time.Time, err error) {
	err = until(ctx, "calls stop", func() (bool, error) {
		stats, err := u.stats(ctx)
		if err != nil || stats.LastArrival == nil {
			return false, err
		}
		last = *stats.LastArrival
		return stats.InFlight == 0 && time.Since(last) >= stillFor, nil
	})
	return last, err
}
