package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/headrace/headrace/internal/client"
	"github.com/headrace/headrace/internal/simulator"
)

// Sizes of the measure retryafter.
const (
	retryWorkers = 3
	retryLatency = "lognormal:300ms,0.5"
	// retryTail is longer than all but a few calls take.
	retryTail  = 2 * time.Second
	retryHands = 10 // of each batch, which is one lane
	// retryNews is how long the news of the first 429 may be on its way.
	retryNews = time.Second
)

// retryAfter measures whether all workers leave a provider alone that has asked one
// of them to.
func (b *bench) retryAfter(ctx context.Context) ([]row, error) {
	pause := time.Duration(b.size(20, 4)) * time.Second
	var rows []row
	limits := []struct {
		name     string
		settings map[string]any
	}{
		{"no limits", nil},
		{"at most 24 calls at once", map[string]any{"concurrency": 24}},
		{"at most 6000 requests a minute", map[string]any{"rpm": 6000}},
	}
	for _, c := range limits[:b.size(len(limits), 1)] {
		s, err := b.retryAfterOnce(ctx, c.settings, pause)
		if err != nil {
			return nil, fmt.Errorf("queue with %s: %w", c.name, err)
		}
		b.say("  queue with %s, per worker: under way at the first 429 %v; arrived within %s after it %v, later %v",
			c.name, s.underWay, retryNews, s.soon, s.late)
		name := fmt.Sprintf("429 with Retry-After %s, %d workers, queue with %s: ", pause, retryWorkers, c.name)
		rows = append(rows,
			single(name+fmt.Sprintf("calls of the worst worker from %s after the first 429 on", retryNews), atMost(1), whole, float64(worstOf(s.late)),
				fmt.Sprintf(" (before that %d, under way %d)", worstOf(s.soon), worstOf(s.underWay))),
			// A line that fails has ended the measure with an error: one attempt is all
			// that they have.
			row{measure: name + "attempts used up", target: "0", headrace: "0", verdict: reached},
		)
	}
	return rows, nil
}

// silence is what workers did after the first 429, each.
type silence struct{ underWay, soon, late []int }

func worstOf(n []int) int {
	worst := 0
	for _, v := range n {
		worst = max(worst, v)
	}
	return worst
}

// silenceOf looks at the visits of each worker: which were under way when the
// first was refused, and which came later but before the pause was over.
func silenceOf(workers [][]visit, pause time.Duration) (silence, error) {
	var first time.Time
	for _, visits := range workers {
		for _, v := range visits {
			if v.status == http.StatusTooManyRequests && (first.IsZero() || v.left.Before(first)) {
				first = v.left
			}
		}
	}
	if first.IsZero() {
		return silence{}, errors.New("nobody was refused")
	}
	var s silence
	for _, visits := range workers {
		underWay, soon, late := 0, 0, 0
		for _, v := range visits {
			switch after := v.arrived.Sub(first); {
			case after < 0:
				if v.left.IsZero() || !v.left.Before(first) {
					underWay++
				}
			case after < retryNews:
				soon++
			case after < pause:
				late++
			}
		}
		s.underWay, s.soon, s.late = append(s.underWay, underWay), append(s.soon, soon), append(s.late, late)
	}
	return s, nil
}

// retryAfterOnce has a provider refuse everything from some moment on.
func (b *bench) retryAfterOnce(ctx context.Context, settings map[string]any, pause time.Duration) (silence, error) {
	latency, err := simulator.ParseLatency(retryLatency)
	if err != nil {
		return silence{}, err
	}
	sim, doors, shut, err := openDoors(ctx, simulator.Options{Latency: latency}, retryWorkers)
	if err != nil {
		return silence{}, err
	}
	defer shut()
	c, err := b.newCluster(ctx, urls(doors)...)
	if err != nil {
		return silence{}, err
	}
	defer c.close()
	if settings != nil {
		if err := c.set(ctx, settings); err != nil {
			return silence{}, err
		}
	}
	batches, err := c.occupy(ctx, b.size(1_000, 250), client.NewBatchOptions{MaxConcurrency: retryHands, MaxAttempts: 1},
		func() (bool, error) { return allOccupied(doors), nil })
	if err != nil {
		return silence{}, err
	}
	if err := pauseFor(ctx, retryTail); err != nil { // until calls begin at all times
		return silence{}, err
	}
	o := sim.Options()
	o.Faults.Throttled, o.RetryAfter = 1, int64(pause.Seconds())
	if err := sim.Set(o); err != nil {
		return silence{}, err
	}
	// What comes when the first pause is over is served: it is no matter here.
	if err := pauseFor(ctx, pause); err != nil {
		return silence{}, err
	}
	o.Faults.Throttled = 0
	if err := sim.Set(o); err != nil {
		return silence{}, err
	}
	if err := pauseFor(ctx, retryTail); err != nil {
		return silence{}, err
	}
	var workers [][]visit
	for _, d := range doors {
		workers = append(workers, d.seen())
	}
	s, err := silenceOf(workers, pause)
	if err != nil {
		return s, err
	}
	if err := c.flawless(ctx, batches...); err != nil {
		return s, err
	}
	return s, c.alive()
}
